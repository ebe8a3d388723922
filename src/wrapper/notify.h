/*
 * What a service manager wants to know, as of sd_notify(3): that we are ready, what we are doing,
 * that our loop is alive, that we are about to end. Where nobody asks (no NOTIFY_SOCKET) nothing
 * happens; what cannot be sent is lost.
 */
#ifndef LEADERWRAP_WRAPPER_NOTIFY_H
#define LEADERWRAP_WRAPPER_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

struct notify {
    int fd; /* -1: nobody asks */
    struct sockaddr_un address;
    socklen_t length;
    uint64_t watchdog_ms; /* from one notify_watchdog to the next; 0: never */
    bool ready;
    bool stopping;
    char status[256];
};

/* Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID. Close with notify_close. */
void notify_open(struct notify *notify);
void notify_close(struct notify *notify);

/* Each of the first two is sent once, a status when it has changed. */
void notify_ready(struct notify *notify);
void notify_stopping(struct notify *notify);
void notify_status(struct notify *notify, const char *status);
void notify_watchdog(const struct notify *notify);

#endif
