/* The stand-in for libuv: a table of handles and a clock. */
#include "fake_uv.h"

#include "fuzz.h"

#define HANDLES_MOST 64
#define ROUNDS_MOST  10000

/* The declarations that libuv's header cannot give for the names that --wrap makes. */
int __wrap_uv_idle_init(uv_loop_t *loop, uv_idle_t *idle);
int __wrap_uv_idle_start(uv_idle_t *idle, uv_idle_cb callback);
int __wrap_uv_idle_stop(uv_idle_t *idle);
int __wrap_uv_timer_init(uv_loop_t *loop, uv_timer_t *timer);
int __wrap_uv_timer_start(uv_timer_t *timer, uv_timer_cb callback, uint64_t delay, uint64_t repeat);
int __wrap_uv_timer_stop(uv_timer_t *timer);
int __wrap_uv_pipe_init(uv_loop_t *loop, uv_pipe_t *pipe, int ipc);
void __wrap_uv_pipe_connect(uv_connect_t *request, uv_pipe_t *pipe, const char *path,
                            uv_connect_cb callback);
int __wrap_uv_poll_init(uv_loop_t *loop, uv_poll_t *poll, int fd);
int __wrap_uv_poll_start(uv_poll_t *poll, int events, uv_poll_cb callback);
int __wrap_uv_poll_stop(uv_poll_t *poll);
int __wrap_uv_read_start(uv_stream_t *stream, uv_alloc_cb alloc, uv_read_cb callback);
int __wrap_uv_try_write(uv_stream_t *stream, const uv_buf_t *buffers, unsigned count);
int __wrap_uv_write(uv_write_t *request, uv_stream_t *stream, const uv_buf_t *buffers,
                    unsigned count, uv_write_cb callback);
void __wrap_uv_close(uv_handle_t *handle, uv_close_cb callback);
void __wrap_uv_update_time(uv_loop_t *loop);

enum kind {
    KIND_IDLE,
    KIND_TIMER,
    KIND_STREAM,
    KIND_POLL,
};

struct pending_write {
    struct pending_write *next;
    uv_write_t *request;
    uv_write_cb callback;
};

struct entry {
    uv_handle_t *handle; /* NULL: unused */
    enum kind kind;
    bool active; /* an idle, a timer or a poll that was started */
    bool closing;
    uv_close_cb on_close;
    union {
        uv_idle_cb idle;
        uv_timer_cb timer;
        uv_poll_cb poll;
    } callback;
    int64_t due_ms;
    unsigned serial;
    uv_connect_t *connect;
    uv_connect_cb on_connect;
    uv_alloc_cb alloc;
    uv_read_cb read;
    struct pending_write *writes;
};

static struct {
    struct entry entries[HANDLES_MOST];
    struct fake_uv_hooks hooks;
    int64_t now_ms;
    enum fake_write write;
    unsigned streams;
} fake;

static struct entry *find(const void *handle)
{
    for (int i = 0; i < HANDLES_MOST; i++) {
        if (fake.entries[i].handle == handle)
            return &fake.entries[i];
    }
    return NULL;
}

static struct entry *known(const void *handle)
{
    struct entry *entry = find(handle);

    ORACLE(entry != NULL);
    return entry;
}

static int add(void *handle, enum kind kind)
{
    ORACLE(find(handle) == NULL);
    struct entry *entry = known(NULL);

    *entry = (struct entry){.handle = handle, .kind = kind};
    if (kind == KIND_STREAM)
        entry->serial = ++fake.streams;
    return 0;
}

/* ---- in place of libuv ---- */

int __wrap_uv_idle_init(uv_loop_t *loop, uv_idle_t *idle)
{
    idle->loop = loop;
    return add(idle, KIND_IDLE);
}

int __wrap_uv_idle_start(uv_idle_t *idle, uv_idle_cb callback)
{
    struct entry *entry = known(idle);

    ORACLE(!entry->closing);
    entry->callback.idle = callback;
    entry->active = true;
    return 0;
}

int __wrap_uv_idle_stop(uv_idle_t *idle)
{
    known(idle)->active = false;
    return 0;
}

int __wrap_uv_timer_init(uv_loop_t *loop, uv_timer_t *timer)
{
    timer->loop = loop;
    timer->data = NULL;
    return add(timer, KIND_TIMER);
}

int __wrap_uv_timer_start(uv_timer_t *timer, uv_timer_cb callback, uint64_t delay, uint64_t repeat)
{
    struct entry *entry = known(timer);

    ORACLE(repeat == 0 && delay < INT64_MAX / 2);
    if (entry->closing)
        return UV_EINVAL;
    entry->callback.timer = callback;
    entry->due_ms = fake.now_ms + (int64_t)delay;
    entry->active = true;
    return 0;
}

int __wrap_uv_timer_stop(uv_timer_t *timer)
{
    known(timer)->active = false;
    return 0;
}

int __wrap_uv_pipe_init(uv_loop_t *loop, uv_pipe_t *pipe, int ipc)
{
    ORACLE(ipc == 0);
    pipe->loop = loop;
    return add(pipe, KIND_STREAM);
}

void __wrap_uv_pipe_connect(uv_connect_t *request, uv_pipe_t *pipe, const char *path,
                            uv_connect_cb callback)
{
    struct entry *entry = known(pipe);

    ORACLE(path[0] == '/' && entry->connect == NULL);
    entry->connect = request;
    entry->on_connect = callback;
}

int __wrap_uv_poll_init(uv_loop_t *loop, uv_poll_t *poll, int fd)
{
    ORACLE(fd >= 0);
    poll->loop = loop;
    return add(poll, KIND_POLL);
}

int __wrap_uv_poll_start(uv_poll_t *poll, int events, uv_poll_cb callback)
{
    struct entry *entry = known(poll);

    ORACLE(!entry->closing && events != 0);
    entry->callback.poll = callback;
    entry->active = true;
    return 0;
}

int __wrap_uv_poll_stop(uv_poll_t *poll)
{
    known(poll)->active = false;
    return 0;
}

int __wrap_uv_read_start(uv_stream_t *stream, uv_alloc_cb alloc, uv_read_cb callback)
{
    struct entry *entry = known(stream);

    ORACLE(!entry->closing && entry->connect == NULL);
    entry->alloc = alloc;
    entry->read = callback;
    return 0;
}

int __wrap_uv_try_write(uv_stream_t *stream, const uv_buf_t *buffers, unsigned count)
{
    const struct entry *entry = known(stream);
    size_t length = buffers[0].len;

    ORACLE(count == 1 && length > 0 && !entry->closing);
    if (fake.write == FAKE_WRITE_BROKEN)
        return UV_EPIPE;
    /* What waits goes first. */
    if (fake.write == FAKE_WRITE_AGAIN || entry->writes != NULL)
        return UV_EAGAIN;
    if (fake.write == FAKE_WRITE_PART)
        length = (length + 1) / 2;
    fake.hooks.on_written(entry->serial, buffers[0].base, length);
    return (int)length;
}

int __wrap_uv_write(uv_write_t *request, uv_stream_t *stream, const uv_buf_t *buffers,
                    unsigned count, uv_write_cb callback)
{
    struct entry *entry = known(stream);
    struct pending_write **last = &entry->writes;
    struct pending_write *made = malloc(sizeof *made);

    ORACLE(count == 1 && buffers[0].len > 0 && !entry->closing && made != NULL);
    while (*last != NULL)
        last = &(*last)->next;
    *made = (struct pending_write){.request = request, .callback = callback};
    *last = made;
    fake.hooks.on_written(entry->serial, buffers[0].base, buffers[0].len);
    return 0;
}

void __wrap_uv_close(uv_handle_t *handle, uv_close_cb callback)
{
    struct entry *entry = known(handle);

    ORACLE(!entry->closing);
    entry->closing = true;
    entry->active = false;
    entry->on_close = callback;
}

/* The fake loop's idea of now is never stale. */
void __wrap_uv_update_time(uv_loop_t *loop)
{
    (void)loop;
}

/* ---- for the target ---- */

void fake_uv_reset(int64_t now_ms, const struct fake_uv_hooks *hooks)
{
    ORACLE(fake_uv_handles() == 0);
    memset(&fake, 0, sizeof fake);
    fake.now_ms = now_ms;
    if (hooks != NULL)
        fake.hooks = *hooks;
}

void fake_uv_set_write(enum fake_write mode)
{
    fake.write = mode;
}

void fake_uv_set_time(int64_t now_ms)
{
    ORACLE(now_ms >= fake.now_ms);
    fake.now_ms = now_ms;
}

int64_t fake_uv_wake_ms(void)
{
    int64_t wake_ms = INT64_MAX;

    for (int i = 0; i < HANDLES_MOST; i++) {
        const struct entry *entry = &fake.entries[i];

        if (entry->handle != NULL && entry->kind == KIND_TIMER && entry->active &&
            entry->due_ms < wake_ms)
            wake_ms = entry->due_ms;
    }
    return wake_ms;
}

int fake_uv_handles(void)
{
    int count = 0;

    for (int i = 0; i < HANDLES_MOST; i++)
        count += fake.entries[i].handle != NULL;
    return count;
}

static void end_writes(struct entry *entry, int status)
{
    while (entry->writes != NULL) {
        struct pending_write *write = entry->writes;

        entry->writes = write->next;
        write->callback(write->request, status);
        free(write);
    }
}

static void end_connect(struct entry *entry, int status)
{
    uv_connect_t *request = entry->connect;

    entry->connect = NULL;
    entry->on_connect(request, status);
}

/* Gives a closed handle back: its memory may be gone after that. */
static void finish_close(struct entry *entry)
{
    uv_handle_t *handle = entry->handle;
    uv_close_cb callback = entry->on_close;

    if (entry->connect != NULL)
        end_connect(entry, UV_ECANCELED);
    end_writes(entry, UV_ECANCELED);
    entry->handle = NULL;
    if (callback != NULL)
        callback(handle);
}

/* Does one thing that is due for the handle. Returns whether there was one. */
static bool run_entry(struct entry *entry)
{
    if (entry->handle == NULL)
        return false;
    if (entry->closing) {
        finish_close(entry);
        return true;
    }
    if (entry->kind == KIND_IDLE && entry->active) {
        entry->callback.idle((uv_idle_t *)entry->handle);
        return true;
    }
    if (entry->kind == KIND_TIMER && entry->active && entry->due_ms <= fake.now_ms) {
        entry->active = false;
        entry->callback.timer((uv_timer_t *)entry->handle);
        return true;
    }
    if (entry->writes != NULL && fake.write != FAKE_WRITE_AGAIN) {
        end_writes(entry, fake.write == FAKE_WRITE_BROKEN ? UV_EPIPE : 0);
        return true;
    }
    return false;
}

void fake_uv_run(void)
{
    int rounds = 0;
    bool busy = true;

    while (busy) {
        busy = false;
        for (int i = 0; i < HANDLES_MOST; i++)
            busy = run_entry(&fake.entries[i]) || busy;
        ORACLE(rounds++ < ROUNDS_MOST);
    }
}

static struct entry *find_stream(unsigned serial)
{
    for (int i = 0; i < HANDLES_MOST; i++) {
        struct entry *entry = &fake.entries[i];

        if (entry->handle != NULL && entry->kind == KIND_STREAM && !entry->closing &&
            entry->serial == serial)
            return entry;
    }
    return NULL;
}

unsigned fake_uv_stream(unsigned back)
{
    for (unsigned serial = fake.streams; serial > 0; serial--) {
        if (find_stream(serial) != NULL && back-- == 0)
            return serial;
    }
    return 0;
}

bool fake_uv_connect(unsigned serial, int status)
{
    struct entry *entry = find_stream(serial);

    if (entry == NULL || entry->connect == NULL)
        return false;
    end_connect(entry, status);
    return true;
}

size_t fake_uv_feed(unsigned serial, const uint8_t *data, size_t length, size_t piece,
                    void (*before)(unsigned serial, const uint8_t *data, size_t length))
{
    size_t fed = 0;

    while (fed < length) {
        struct entry *entry = find_stream(serial);
        uv_buf_t buffer = {0};
        size_t some = length - fed < piece ? length - fed : piece;

        if (entry == NULL || entry->read == NULL)
            break;
        entry->alloc(entry->handle, 65536, &buffer);
        ORACLE(buffer.base != NULL && buffer.len > 0);
        if (some > buffer.len)
            some = buffer.len;
        memcpy(buffer.base, data + fed, some);
        before(serial, data + fed, some);
        entry->read((uv_stream_t *)entry->handle, (ssize_t)some, &buffer);
        fed += some;
    }
    return fed;
}

bool fake_uv_end(unsigned serial, int error)
{
    struct entry *entry = find_stream(serial);
    uv_buf_t buffer = {0};

    if (entry == NULL || entry->read == NULL)
        return false;
    entry->read((uv_stream_t *)entry->handle, error, &buffer);
    return true;
}

bool fake_uv_poll(int index, int status, int events)
{
    for (int i = 0; i < HANDLES_MOST; i++) {
        struct entry *entry = &fake.entries[i];

        if (entry->handle == NULL || entry->kind != KIND_POLL || index-- != 0)
            continue;
        if (!entry->active || entry->closing)
            return false;
        entry->callback.poll((uv_poll_t *)entry->handle, status, events);
        return true;
    }
    return false;
}
