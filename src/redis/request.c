/* Requests and their ends. */
#include "request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "leaderwrap/redis/errors.h"

struct request *request_new(uint64_t number, int argc, const char *const *argv)
{
    struct request *request;
    size_t size = 0;
    char *text;

    for (int i = 0; i < argc; i++)
        size += strlen(argv[i]) + 1;
    request = calloc(1, sizeof *request + size);
    if (request == NULL)
        return NULL;
    text = request->text;
    for (int i = 0; i < argc; i++) {
        request->lengths[i] = strlen(argv[i]);
        request->argv[i] = memcpy(text, argv[i], request->lengths[i] + 1);
        text += request->lengths[i] + 1;
    }
    request->references = 1;
    request->number = number;
    request->argc = argc;
    return request;
}

struct request *request_keep(struct request *request)
{
    request->references++;
    return request;
}

void request_drop(struct request *request)
{
    if (request != NULL && --request->references == 0)
        free(request);
}

void request_finish(struct request *request, struct lease_reply *answer)
{
    request_answer_fn *function = request->on_answer;
    void *context = request->context;

    answer->request = request->number;
    request_drop(request);
    function(context, answer);
}

void request_fail(struct request *request, enum lease_failure failure, const char *text)
{
    struct lease_reply answer = {.verdict = LEASE_FAILED, .failure = failure};

    snprintf(answer.text, sizeof answer.text, "%s", text);
    request_finish(request, &answer);
}

void request_finish_error(struct request *request, const char *error)
{
    char text[LEASE_TEXT_SIZE];

    request_fail(request, error_class(error), error_explain(error, text, sizeof text));
}
