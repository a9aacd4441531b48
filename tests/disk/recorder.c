/* Loaded before libc into a process that is watched (LD_PRELOAD): writes down, in one order, what the process does to
 * the files of one directory, and fails what it is told to fail. Syncs are not passed on: what they bring to the disk is
 * for the reader of the record to say (disk.rs).
 *
 * DISK_DIR        the directory; files below it are watched by their names, but those that end in -shm, .lock or .sock
 * DISK_RECORD     the file of the record
 * DISK_FAIL_SYNC  NAME,N: the Nth sync of this file fails with EIO. As with Linux, what it was to bring to the
 *                 disk is lost, and everybody else who has the file open is told by their next sync, which brings there
 *                 what was written since
 * DISK_FULL       two numbers a,b: the writes a to b-1, counted from 1, fail with ENOSPC
 *
 * A record: kind (1 byte), whether it succeeded (1), length of the name (2), length of the bytes (4), a number (8), the
 * name, the bytes; little-endian. Kinds: c created; w written (the number is the offset); t truncated (the length);
 * u unlinked; b a sync begins (its number); e it ends: 0 it failed, 2 it tells of one that had. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES 4096
#define NAME 64

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static char directory[1024];
static int record = -1;
static long syncs, writes, fail_sync, full_from, full_to;
static char fail_name[64];
static char names[FILES][NAME], is_owed[FILES];

static int (*real_open)(const char *, int, ...);
static int (*real_close)(int);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static int (*real_ftruncate)(int, off_t);
static int (*real_unlink)(const char *);
static int (*real_rename)(const char *, const char *);
static int (*real_sync)(int);

static void give_up(const char *why) {
    dprintf(2, "recorder: %s\n", why);
    _exit(97);
}

static void start(void) {
    real_open = dlsym(RTLD_NEXT, "open64");
    real_close = dlsym(RTLD_NEXT, "close");
    real_write = dlsym(RTLD_NEXT, "write");
    real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
    real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
    real_unlink = dlsym(RTLD_NEXT, "unlink");
    real_rename = dlsym(RTLD_NEXT, "rename");
    real_sync = dlsym(RTLD_NEXT, "fsync");
    const char *dir = getenv("DISK_DIR"), *path = getenv("DISK_RECORD");
    if (!dir || !path || strlen(dir) >= sizeof directory) give_up("DISK_DIR or DISK_RECORD is missing");
    strcpy(directory, dir);
    record = real_open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (record < 0) give_up("the record can't be written");
    if (getenv("DISK_FAIL_SYNC")) sscanf(getenv("DISK_FAIL_SYNC"), "%63[^,],%ld", fail_name, &fail_sync);
    if (getenv("DISK_FULL")) sscanf(getenv("DISK_FULL"), "%ld,%ld", &full_from, &full_to);
}

/* The name of a file in the directory, "." for the directory itself; null for what is not watched. */
static const char *watched(const char *path) {
    pthread_once(&once, start);
    size_t length = strlen(directory);
    if (!path || strncmp(path, directory, length)) return NULL;
    if (!path[length]) return ".";
    if (path[length] != '/') return NULL;
    const char *name = path + length + 1;
    const char *dot = strrchr(name, '.'), *dash = strrchr(name, '-');
    if (!*name) return ".";
    if (strchr(name, '/') || (dash && !strcmp(dash, "-shm"))) return NULL;
    if (dot && (!strcmp(dot, ".lock") || !strcmp(dot, ".sock"))) return NULL;
    if (strlen(name) >= NAME) give_up("a name is too long");
    return name;
}

static const char *name_of(int file) {
    pthread_once(&once, start);
    return file >= 0 && file < FILES && names[file][0] ? names[file] : NULL;
}

static void all_written(const void *bytes, size_t length) {
    for (const char *at = bytes; length;) {
        ssize_t n = real_write(record, at, length);
        if (n <= 0) give_up("the record can't be written");
        at += n, length -= n;
    }
}

/* With the lock held. */
static void note(char kind, int ok, const char *name, uint64_t number, const void *bytes, uint32_t length) {
    unsigned char head[16] = {kind, ok};
    uint16_t name_length = strlen(name);
    memcpy(head + 2, &name_length, 2), memcpy(head + 4, &length, 4), memcpy(head + 8, &number, 8);
    all_written(head, sizeof head), all_written(name, name_length), all_written(bytes, length);
}

static int opened(const char *path, int flags, mode_t mode) {
    const char *name = watched(path);
    if (!name) return real_open(path, flags, mode);
    pthread_mutex_lock(&lock);
    int is_new = (flags & O_CREAT) && access(path, F_OK) != 0;
    int file = real_open(path, flags, mode);
    if (file >= FILES) give_up("too many files are open");
    if (file >= 0) {
        strcpy(names[file], name), is_owed[file] = 0;
        if (is_new) note('c', 1, name, 0, "", 0);
        if (flags & O_TRUNC) note('t', 1, name, 0, "", 0);
    }
    int error = errno;
    pthread_mutex_unlock(&lock);
    errno = error;
    return file;
}

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return opened(path, flags, mode);
}

int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return opened(path, flags, mode);
}

int close(int file) {
    if (name_of(file)) names[file][0] = 0;
    return real_close(file);
}

static ssize_t written(int file, const void *bytes, size_t length, off_t offset, int is_at) {
    const char *name = name_of(file);
    if (!name) return is_at ? real_pwrite(file, bytes, length, offset) : real_write(file, bytes, length);
    pthread_mutex_lock(&lock);
    ssize_t done;
    if (strcmp(name, "told") && ++writes >= full_from && writes < full_to) {
        done = -1, errno = ENOSPC;
    } else {
        if (!is_at) {
            struct stat found;
            int appends = fcntl(file, F_GETFL) & O_APPEND;
            offset = appends && !fstat(file, &found) ? found.st_size : lseek(file, 0, SEEK_CUR);
        }
        done = is_at ? real_pwrite(file, bytes, length, offset) : real_write(file, bytes, length);
        if (done > 0) note('w', 1, name, offset, bytes, done);
    }
    int error = errno;
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}

ssize_t write(int file, const void *bytes, size_t length) { return written(file, bytes, length, 0, 0); }
ssize_t pwrite(int file, const void *bytes, size_t length, off_t at) { return written(file, bytes, length, at, 1); }
ssize_t pwrite64(int file, const void *bytes, size_t length, off_t at) { return written(file, bytes, length, at, 1); }

static int truncated(int file, off_t length) {
    const char *name = name_of(file);
    if (!name) return real_ftruncate(file, length);
    pthread_mutex_lock(&lock);
    int done = real_ftruncate(file, length), error = errno;
    if (!done) note('t', 1, name, length, "", 0);
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}

int ftruncate(int file, off_t length) { return truncated(file, length); }
int ftruncate64(int file, off_t length) { return truncated(file, length); }

static int synced(int file) {
    const char *open_name = name_of(file);
    if (!open_name) return real_sync(file);
    char name[NAME];
    pthread_mutex_lock(&lock);
    strcpy(name, open_name);
    long number = ++syncs;
    int fails = !strcmp(name, fail_name) && --fail_sync == 0;
    note('b', 1, name, number, "", 0);
    pthread_mutex_unlock(&lock);
    usleep(number * 7919 % 700); /* others write meanwhile */
    pthread_mutex_lock(&lock);
    int is_told = !fails && is_owed[file];
    is_owed[file] = 0;
    for (int other = 0; fails && other < FILES; other++) {
        if (other != file && !strcmp(names[other], name)) is_owed[other] = 1;
    }
    note('e', fails ? 0 : is_told ? 2 : 1, name, number, "", 0);
    pthread_mutex_unlock(&lock);
    if (fails || is_told) errno = EIO;
    return fails || is_told ? -1 : 0;
}

int fsync(int file) { return synced(file); }
int fdatasync(int file) { return synced(file); }

int unlink(const char *path) {
    const char *name = watched(path);
    if (!name) return real_unlink(path);
    pthread_mutex_lock(&lock);
    int done = real_unlink(path), error = errno;
    if (!done) note('u', 1, name, 0, "", 0);
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}

int rename(const char *from, const char *to) {
    if (watched(from) || watched(to)) give_up("a watched file is renamed: disk.rs does not know what that does");
    return real_rename(from, to);
}
