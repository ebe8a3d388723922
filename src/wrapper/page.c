/* Making, sealing and writing the lease page. */
#include "page.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "leaderwrap/base/clock.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

/* An open file description that was made for reading stays so, whoever inherits it. */
static int reopen_read_only(int fd)
{
    char path[32];

    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int again = open(path, O_RDONLY | O_CLOEXEC);
    return again < 0 ? -errno : again;
}

/* Size, map and seal `fd`. A kernel that does not know the seal against later writers refuses it
 * alone. */
static int prepare(struct page *page, int fd)
{
    if (ftruncate(fd, sizeof *page->memory) != 0)
        return -errno;
    void *memory = mmap(NULL, sizeof *page->memory, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
        return -errno;
    page->memory = memory;
    __atomic_store_n(&page->memory->magic, LEADERWRAP_LEASE_MAGIC, __ATOMIC_RELEASE);
    if (madvise(memory, sizeof *page->memory, MADV_DONTFORK) != 0)
        return -errno;
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE) != 0 && errno != EINVAL)
        return -errno;
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        return -errno;
    if (fchmod(fd, S_IRUSR | S_IRGRP | S_IROTH) != 0)
        return -errno;
    page->fd = reopen_read_only(fd);
    return page->fd < 0 ? page->fd : 0;
}

int page_open(struct page *page, const struct timing *timing)
{
    *page = (struct page){.fd = -1, .expire_after_ms = timing->expire_after_ms};
    int fd = memfd_create("leaderwrap-lease", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    int result = prepare(page, fd);
    close(fd);
    if (result != 0)
        page_close(page);
    return result;
}

void page_close(struct page *page)
{
    if (page->memory != NULL)
        munmap(page->memory, sizeof *page->memory);
    page->memory = NULL;
    if (page->fd >= 0)
        close(page->fd);
    page->fd = -1;
}

static void write_copy(struct leaderwrap_lease *copy, const struct leaderwrap_lease *lease)
{
    __atomic_store_n(&copy->state, lease->state, __ATOMIC_RELAXED);
    __atomic_store_n(&copy->token, lease->token, __ATOMIC_RELAXED);
    __atomic_store_n(&copy->renewed_ns, lease->renewed_ns, __ATOMIC_RELAXED);
    __atomic_store_n(&copy->stop_at_ns, lease->stop_at_ns, __ATOMIC_RELAXED);
    __atomic_store_n(&copy->kill_at_ns, lease->kill_at_ns, __ATOMIC_RELAXED);
}

/* Each step is seen in this order: readers turn to one copy before the other one changes. */
void page_write(struct leaderwrap_lease_page *memory, const struct leaderwrap_lease *lease)
{
    uint64_t sequence = __atomic_load_n(&memory->sequence, __ATOMIC_RELAXED);

    for (unsigned i = 0; i < 2; i++) {
        __atomic_store_n(&memory->sequence, ++sequence, __ATOMIC_RELEASE);
        __atomic_thread_fence(__ATOMIC_RELEASE);
        write_copy(&memory->copies[~sequence & 1], lease);
    }
}

static void write_run(const struct page *page, const struct election_run *run)
{
    const struct leaderwrap_lease lease = {
        .state = LEADERWRAP_LEASE_HELD,
        .token = run->token,
        .renewed_ns = run->deadlines.expires_at_ns - ms_to_ns(page->expire_after_ms),
        .stop_at_ns = run->deadlines.stop_at_ns,
        .kill_at_ns = run->deadlines.kill_at_ns,
    };

    page_write(page->memory, &lease);
}

/* Token and times stay, for whoever wants to know which term that was. */
static void write_state(const struct page *page, uint64_t state)
{
    struct leaderwrap_lease lease;

    leaderwrap_lease_read(page->memory, &lease);
    if (lease.state == state || lease.state == LEADERWRAP_LEASE_NONE)
        return;
    lease.state = state;
    page_write(page->memory, &lease);
}

void page_before(const struct page *page, const struct election_action *action)
{
    if (page->memory == NULL)
        return;
    if (action->kind == ACTION_START)
        write_run(page, &action->run);
    else if (action->kind == ACTION_STOP_TREE || action->kind == ACTION_KILL_TREE ||
             action->kind == ACTION_ABANDON_KEEPER ||
             (action->kind == ACTION_TELL && action->note.kind == NOTE_TERM_ENDING))
        write_state(page, LEADERWRAP_LEASE_ENDING);
    else if (action->kind == ACTION_EXIT ||
             (action->kind == ACTION_TELL && action->note.kind == NOTE_TERM_OVER))
        write_state(page, LEADERWRAP_LEASE_NONE);
}

void page_after(const struct page *page, const struct election_action *action)
{
    struct leaderwrap_lease lease;

    if (page->memory == NULL || action->kind != ACTION_EXTEND)
        return;
    /* One that is being ended stays so. */
    leaderwrap_lease_read(page->memory, &lease);
    if (lease.state == LEADERWRAP_LEASE_HELD)
        write_run(page, &action->run);
}
