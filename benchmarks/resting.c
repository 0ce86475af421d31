/* Sleeps in place of ffmpeg, whose arguments it gets as one text. It reports now and then that media come, if it is to.
 * At SIGTERM it ends as ffmpeg does: when the next packet comes, at 15 packets a second. */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void end(int number) {
    (void)number;
    usleep(66000);
    _exit(255);
}

int main(int count, char **arguments) {
    const char *option = "-progress pipe:";
    const char *found = count > 1 ? strstr(arguments[1], option) : NULL;
    signal(SIGTERM, end);
    for (int frame = 1;; frame++) {
        if (found)
            dprintf(atoi(found + strlen(option)), "frame=%d\nprogress=continue\n", frame);
        sleep(50);
    }
}
