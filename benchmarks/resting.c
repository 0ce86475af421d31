/* Sleeps in the place of ffmpeg, and ends like it: when the next packet comes, of a camera with 15 a second. */

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
