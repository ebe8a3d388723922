/*
 * The lease page: how long this term is still good, asked without Redis, in nanoseconds.
 *
 *     leaderwrap --lease-page -- ./server
 *
 *     const struct leaderwrap_lease_page *page = leaderwrap_lease_open();
 *     ...
 *     if (leaderwrap_lease_left_ns(page, token) > 2000000000)
 *         begin_what_takes_two_seconds();
 *
 * For C11 and C++, with GCC or Clang, on Linux; nothing has to be linked.
 *
 * leaderwrap writes the page at each renewal; a command finds it as LEADERWRAP_LEASE, the path of
 * an inherited descriptor, and may only read it. All times are nanoseconds of CLOCK_BOOTTIME, which
 * counts while the host is suspended, so the answer is right even where leaderwrap itself hangs:
 * without a renewal the time runs out.
 *
 * An answer is as old as the step after it: a process that is stopped between a look at the page
 * and what it does next may do that after its term. A resource that compares tokens covers that.
 *
 * There are two copies of the lease (a latch of sequence numbers): while one is written the other
 * one is read, so that a writer that is stopped in the middle of it delays no reader.
 */
#ifndef LEADERWRAP_LEASE_PAGE_H
#define LEADERWRAP_LEASE_PAGE_H

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LEADERWRAP_LEASE_MAGIC UINT64_C(0x6c65617365706731) /* of this layout: "leasepg1" */

/* What the page says. */
struct leaderwrap_lease {
    uint64_t state;     /* see below */
    uint64_t token;     /* LEADERWRAP_TOKEN of the term; 0: there was none yet */
    int64_t renewed_ns; /* when the request was sent that the deadlines count from */
    int64_t stop_at_ns; /* until then the command may run; then it gets TERM */
    int64_t kill_at_ns; /* at the latest then nothing of it is left */
};

/* Values of `state`; what is none of them is to be taken for LEADERWRAP_LEASE_NONE. */
#define LEADERWRAP_LEASE_NONE   0 /* there is no term, or it is over */
#define LEADERWRAP_LEASE_HELD   1 /* the term is good until stop_at_ns */
#define LEADERWRAP_LEASE_ENDING 2 /* the command has been, or is being, told to stop */

struct leaderwrap_lease_page {
    uint64_t magic;
    uint64_t sequence; /* even: copy 0 is whole; odd: copy 1 is */
    struct leaderwrap_lease copies[2];
};

/* Maps the page that LEADERWRAP_LEASE names, for as long as the process lives. Returns NULL, with
 * errno: ENOENT where there is no such variable, EPROTO where what it names is no lease page. */
static inline const struct leaderwrap_lease_page *leaderwrap_lease_open(void)
{
    const char *path = getenv("LEADERWRAP_LEASE");
    const struct leaderwrap_lease_page *page;
    struct stat status;
    void *memory;
    int error = 0;
    int fd;

    if (path == NULL) {
        errno = ENOENT;
        return NULL;
    }
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    if (fstat(fd, &status) != 0 || status.st_size < (off_t)sizeof *page)
        error = EPROTO;
    memory = error == 0 ? mmap(NULL, sizeof *page, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
    if (error == 0 && memory == MAP_FAILED)
        error = errno;
    close(fd);
    page = (const struct leaderwrap_lease_page *)memory;
    if (error == 0 && __atomic_load_n(&page->magic, __ATOMIC_ACQUIRE) != LEADERWRAP_LEASE_MAGIC) {
        munmap(memory, sizeof *page);
        error = EPROTO;
    }
    if (error == 0)
        return page;
    errno = error;
    return NULL;
}

/* What the page says now, all of it of one moment. */
static inline void leaderwrap_lease_read(const struct leaderwrap_lease_page *page,
                                         struct leaderwrap_lease *lease)
{
    const struct leaderwrap_lease *copy;
    uint64_t before;
    uint64_t after;

    do {
        before = __atomic_load_n(&page->sequence, __ATOMIC_ACQUIRE);
        copy = &page->copies[before & 1];
        lease->state = __atomic_load_n(&copy->state, __ATOMIC_RELAXED);
        lease->token = __atomic_load_n(&copy->token, __ATOMIC_RELAXED);
        lease->renewed_ns = __atomic_load_n(&copy->renewed_ns, __ATOMIC_RELAXED);
        lease->stop_at_ns = __atomic_load_n(&copy->stop_at_ns, __ATOMIC_RELAXED);
        lease->kill_at_ns = __atomic_load_n(&copy->kill_at_ns, __ATOMIC_RELAXED);
        /* What was read of a later write makes that write's sequence number visible, too. */
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        after = __atomic_load_n(&page->sequence, __ATOMIC_RELAXED);
    } while (before != after);
}

/* How long the term with this token (LEADERWRAP_TOKEN as a number) may still run, in nanoseconds;
 * 0 where it is over, is being ended, or is another one, or where there is no page (NULL). */
static inline int64_t leaderwrap_lease_left_ns(const struct leaderwrap_lease_page *page,
                                               uint64_t token)
{
    struct leaderwrap_lease lease;
    struct timespec now;
    int64_t now_ns;

    if (page == NULL)
        return 0;
    leaderwrap_lease_read(page, &lease);
    if (clock_gettime(CLOCK_BOOTTIME, &now) != 0)
        return 0;
    now_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    if (lease.state != LEADERWRAP_LEASE_HELD || lease.token != token || lease.stop_at_ns <= now_ns)
        return 0;
    return lease.stop_at_ns - now_ns;
}

#ifdef __cplusplus
}
#endif

#endif
