/* A library to preload: it delays fsync and fdatasync by 0.3 s, as a slow disk does. */

#define _GNU_SOURCE
#include <sys/syscall.h>
#include <unistd.h>

int fdatasync(int fd) {
    usleep(300000);
    return syscall(SYS_fdatasync, fd);
}

int fsync(int fd) { return fdatasync(fd); }
