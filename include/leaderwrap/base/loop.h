/*
 * The end of a libuv loop.
 */
#ifndef LEADERWRAP_BASE_LOOP_H
#define LEADERWRAP_BASE_LOOP_H

#include <uv.h>

/* Runs the close callbacks of handles that are being closed and closes `loop`. A name look-up that
 * hangs in libuv's thread pool is not waited for, neither here nor at exit: then the process ends
 * at once with `status`, its output flushed. */
void loop_finish(uv_loop_t *loop, int status);

#endif
