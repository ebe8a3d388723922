/* One datagram for each thing to say (https://www.freedesktop.org/software/systemd/man/sd_notify).
 */
#include "notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A path, or behind an @ a name in the abstract namespace (unix(7)). */
static bool read_address(struct notify *notify, const char *text)
{
    size_t length = strlen(text);

    if ((text[0] != '/' && text[0] != '@') || length < 2 ||
        length >= sizeof notify->address.sun_path)
        return false;
    notify->address.sun_family = AF_UNIX;
    memcpy(notify->address.sun_path, text, length);
    if (text[0] == '@')
        notify->address.sun_path[0] = '\0';
    notify->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    return true;
}

static uint64_t read_number(const char *text)
{
    char *end;

    if (text == NULL || text[0] < '0' || text[0] > '9')
        return 0;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0' ? value : 0;
}

/* Half of the time that the manager allows, as sd_watchdog_enabled(3) asks for. */
static uint64_t watchdog_ms(void)
{
    const char *pid = getenv("WATCHDOG_PID");

    if (pid != NULL && read_number(pid) != (uint64_t)getpid())
        return 0;
    return read_number(getenv("WATCHDOG_USEC")) / 2000;
}

void notify_open(struct notify *notify)
{
    const char *where = getenv("NOTIFY_SOCKET");

    *notify = (struct notify){.fd = -1};
    if (where == NULL || !read_address(notify, where))
        return;
    notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (notify->fd >= 0)
        notify->watchdog_ms = watchdog_ms();
}

void notify_close(struct notify *notify)
{
    if (notify->fd >= 0)
        close(notify->fd);
    notify->fd = -1;
}

static void say(const struct notify *notify, const char *text)
{
    if (notify->fd >= 0)
        (void)sendto(notify->fd, text, strlen(text), MSG_NOSIGNAL,
                     (const struct sockaddr *)&notify->address, notify->length);
}

void notify_ready(struct notify *notify)
{
    if (!notify->ready)
        say(notify, "READY=1\n");
    notify->ready = true;
}

void notify_stopping(struct notify *notify)
{
    if (!notify->stopping)
        say(notify, "STOPPING=1\n");
    notify->stopping = true;
}

void notify_status(struct notify *notify, const char *status)
{
    char text[sizeof notify->status + 16];

    if (strncmp(notify->status, status, sizeof notify->status - 1) == 0)
        return;
    snprintf(notify->status, sizeof notify->status, "%s", status);
    snprintf(text, sizeof text, "STATUS=%s\n", notify->status);
    say(notify, text);
}

void notify_watchdog(const struct notify *notify)
{
    say(notify, "WATCHDOG=1\n");
}
