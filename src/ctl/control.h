/*
 * Acts from the page of `leaderctl serve`: who may ask for one, and what is asked for. Pure but for
 * the token.
 *
 * A page elsewhere must not act through the browser of somebody who may: whoever asks has to know
 * the token, which no other page does and no browser adds by itself, and to be this very page
 * (https://fetch.spec.whatwg.org/#origin-header).
 */
#ifndef LEADERWRAP_CTL_CONTROL_H
#define LEADERWRAP_CTL_CONTROL_H

#include <stddef.h>
#include <stdint.h>

#include "leaderwrap/base/lease.h"
#include "leaderwrap/http/http.h"
#include "leaderwrap/redis/store.h"
#include "options.h"

#define CONTROL_PATH        "/act"
#define CONTROL_TOKEN_LEAST 16
#define CONTROL_TOKEN_SIZE  129 /* with its NUL */
#define CONTROL_ID_SIZE     33

struct control_wish {
    enum ctl_command command;   /* CTL_PAUSE, CTL_RESUME or CTL_STEP_DOWN */
    char id[CONTROL_ID_SIZE];   /* by which whoever asks knows the answer: letters and digits */
    char key[STORE_KEY_SIZE];   /* of the lease */
    char text[LEASE_WISH_SIZE]; /* of a pause why, of a step-down who is to lead next; or empty */
    int64_t span_ms;            /* as of the options */
};

/* Fills `token` with the first line of the file at `path`, or with one that nobody can guess where
 * that is NULL. Returns 0; or an exit status, with a sentence in `error`. */
int control_take_token(const char *path, char token[CONTROL_TOKEN_SIZE], char *error, size_t size);

/* Judges a POST to CONTROL_PATH. Returns 0 and fills `*wish`; or a status of HTTP, with a sentence
 * in `error`. */
int control_judge(const char *token, const struct http_request *request, struct control_wish *wish,
                  char *error, size_t size);

#endif
