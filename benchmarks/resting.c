/* Sleeps in place of ffmpeg. At SIGTERM it ends as ffmpeg does: when the next packet comes, at 15 packets a second. */

#include <signal.h>
#include <unistd.h>

static void end(int number) {
    (void)number;
    usleep(66000);
    _exit(255);
}

int main(void) {
    signal(SIGTERM, end);
    for (;;)
        pause();
}
