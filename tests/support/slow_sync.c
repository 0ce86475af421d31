/* Preloaded, it lets a disk take a while to write what a file holds. */

#define _GNU_SOURCE
#include <sys/syscall.h>
#include <unistd.h>

int fdatasync(int fd) {
    usleep(300000);
    return syscall(SYS_fdatasync, fd);
}

int fsync(int fd) { return fdatasync(fd); }
