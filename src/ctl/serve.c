/* Files as they are, and one stream of documents (board.h). */
#include "serve.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "board.h"
#include "control.h"
#include "leaderwrap/base/loop.h"
#include "leaderwrap/http/http.h"
#include "page.h"

#define EVERY_MS    1000
#define ALIVE_EVERY 10 /* rounds in which nothing was new */
#define HOST_SIZE   264

/* Nothing from elsewhere, nothing written into the page, nobody around it. */
#define HEADERS                                                                                    \
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; "           \
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"          \
    "X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n"

/* What the thread works with; the loop's does not touch it meanwhile. */
struct reader {
    uv_work_t work;
    struct board *board;
    bool acts; /* first of all */
    struct control_wish wish;
    char *outcome;          /* event of what came of it; NULL: there is none */
    struct board_news news; /* of the last round */
};

struct serve {
    const struct ctl_options *options;
    uv_loop_t loop;
    uv_timer_t timer;
    uv_signal_t signals[2];
    const struct http_backend *backend;
    struct http_address address; /* which `http` borrows */
    struct http *http;
    struct reader reader;
    bool is_reading;
    bool is_ending;
    char *last;    /* document that was published, without what changes all the time */
    char *current; /* event of the last good one; NULL: there was none */
    char *trouble; /* event of why there is none now; NULL: there is one */
    int idle;      /* rounds since something was published */
    char token[CONTROL_TOKEN_SIZE];
    bool is_wished; /* the next round is to do it: */
    struct control_wish wish;
};

/* ---- reading ---- */

/* In the thread. */
static void do_reading(uv_work_t *work)
{
    struct reader *reader = work->data;

    if (reader->acts)
        reader->outcome = board_act(reader->board, &reader->wish);
    else
        board_read(reader->board, &reader->news);
}

static void forget(struct reader *reader)
{
    free(reader->news.document);
    free(reader->news.substance);
    free(reader->outcome);
    memset(&reader->news, 0, sizeof reader->news);
    reader->outcome = NULL;
}

/* ---- publishing ---- */

/* The last good document stays, for whoever comes while there is none. */
static void keep(struct serve *serve, char *event, bool failed)
{
    free(serve->trouble);
    serve->trouble = failed ? event : NULL;
    if (failed)
        return;
    free(serve->current);
    serve->current = event;
}

static void publish(struct serve *serve)
{
    struct board_news *news = &serve->reader.news;
    bool is_news = serve->last == NULL || strcmp(news->substance, serve->last) != 0;

    if (is_news) {
        serve->backend->publish(serve->http, news->document);
        serve->idle = 0;
    } else if (++serve->idle % ALIVE_EVERY == 0) {
        serve->backend->publish(serve->http, "event: alive\ndata:\n\n");
    }
    free(serve->last);
    serve->last = news->substance;
    keep(serve, news->document, news->failed);
    news->document = news->substance = NULL;
}

static void end(struct serve *serve);
static void read_now(struct serve *serve);

static void on_read(uv_work_t *work, int status)
{
    struct reader *reader = work->data;
    struct serve *serve = work->loop->data;

    /* What an act has changed is to be seen at once. */
    bool again = reader->acts || serve->is_wished;

    serve->is_reading = false;
    if (status == 0 && !serve->is_ending && reader->outcome != NULL)
        serve->backend->publish(serve->http, reader->outcome);
    if (status == 0 && !serve->is_ending && reader->news.document != NULL &&
        reader->news.substance != NULL)
        publish(serve);
    forget(reader);
    if (serve->is_ending)
        end(serve);
    else if (again)
        read_now(serve);
}

static void read_now(struct serve *serve)
{
    struct reader *reader = &serve->reader;

    if (serve->is_reading || serve->is_ending)
        return;
    reader->acts = serve->is_wished;
    reader->wish = serve->wish;
    serve->is_wished = false;
    /* It fails for a missing function alone. */
    serve->is_reading = uv_queue_work(&serve->loop, &reader->work, do_reading, on_read) == 0;
}

static void on_timer(uv_timer_t *timer)
{
    struct serve *serve = timer->data;

    if (serve->backend->count_streams(serve->http) > 0)
        read_now(serve);
}

/* ---- answering ---- */

/* "", or a colon and digits. */
static bool is_port(const char *text)
{
    return text[0] == '\0' ||
           (text[0] == ':' && strspn(text + 1, "0123456789") == strlen(text + 1));
}

bool serve_knows_host(const char *host)
{
    bool has_brackets = host[0] == '[';
    size_t length = strcspn(host + has_brackets, has_brackets ? "]" : ":");
    const char *rest = host + has_brackets + length;
    char name[HOST_SIZE];
    struct in6_addr number;

    if (has_brackets && *rest++ != ']')
        return false;
    snprintf(name, sizeof name, "%.*s", (int)length, host + has_brackets);
    if (!is_port(rest))
        return false;
    if (has_brackets)
        return inet_pton(AF_INET6, name, &number) == 1;
    return strcasecmp(name, "localhost") == 0 || inet_pton(AF_INET, name, &number) == 1;
}

static void answer_file(struct http_answer *answer, const char *type, const char *text)
{
    answer->body = strdup(text);
    answer->status = answer->body != NULL ? 200 : 500;
    answer->type = type;
}

static const char *or_empty(const char *text)
{
    return text != NULL ? text : "";
}

/* The first events are what is known already; what is new follows at once, and not in a second. */
static void answer_stream(struct serve *serve, struct http_answer *answer)
{
    answer->status = 200;
    answer->type = "text/event-stream";
    answer->is_stream = true;
    if (asprintf(&answer->body, ": hello\n\n%s%s", or_empty(serve->current),
                 or_empty(serve->trouble)) < 0)
        *answer = (struct http_answer){.status = 500};
    read_now(serve);
}

static void refuse_act(struct http_answer *answer, int status, const char *why)
{
    answer_file(answer, "text/plain; charset=utf-8", why);
    answer->status = status;
    if (status == 401)
        answer->headers = HEADERS "WWW-Authenticate: Bearer\r\n";
}

/* What comes of it is told to all streams: the one who asked knows it by its id. */
static void answer_act(struct serve *serve, const struct http_request *request,
                       struct http_answer *answer)
{
    struct control_wish wish;
    char error[LEASE_TEXT_SIZE];
    int status = control_judge(serve->token, request, &wish, error, sizeof error);

    if (status != 0) {
        refuse_act(answer, status, error);
    } else if (serve->is_wished || serve->is_ending) {
        refuse_act(answer, 503, "another act is not done yet; again in a moment");
    } else {
        serve->wish = wish;
        serve->is_wished = true;
        read_now(serve);
        answer_file(answer, "text/plain; charset=utf-8", "it is being done");
        answer->status = 202;
    }
}

static void on_request(void *context, const struct http_request *request,
                       struct http_answer *answer)
{
    struct serve *serve = context;
    const char *path = request->path;

    answer->headers = HEADERS;
    if (!serve_knows_host(request->host))
        answer->status = 421;
    else if (request->is_post && strcmp(path, CONTROL_PATH) == 0)
        answer_act(serve, request, answer);
    else if (request->is_post)
        refuse_act(answer, 404, "nothing takes a POST there");
    else if (strcmp(path, "/") == 0)
        answer_file(answer, "text/html; charset=utf-8", page_index_html);
    else if (strcmp(path, "/app.js") == 0)
        answer_file(answer, "text/javascript; charset=utf-8", page_app_js);
    else if (strcmp(path, "/style.css") == 0)
        answer_file(answer, "text/css; charset=utf-8", page_style_css);
    else if (strcmp(path, "/events") == 0)
        answer_stream(serve, answer);
}

/* ---- running ---- */

/* What the thread is at has to be over first. */
static void end(struct serve *serve)
{
    serve->is_ending = true;
    if (!serve->is_reading)
        uv_stop(&serve->loop);
}

static void on_signal(uv_signal_t *signal, int number)
{
    (void)number;
    end(signal->loop->data);
}

static int listen_to(struct serve *serve, char *error, size_t size)
{
    const char *listen = serve->options->listen;
    const struct http_config config = {.loop = &serve->loop,
                                       .address = &serve->address,
                                       .takes_posts = serve->options->allow_control,
                                       .on_request = on_request,
                                       .context = serve};
    const char *problem = http_address_parse(&serve->address, listen);

    if (problem != NULL) {
        snprintf(error, size, "--listen %.100s: %s", listen, problem);
        return EXIT_USAGE;
    }
    serve->backend = http_load("serve", error, size);
    if (serve->backend == NULL)
        return EXIT_OWN_FAILURE;
    int result = serve->backend->open(&serve->http, &config);
    if (result == 0)
        return 0;
    snprintf(error, size, "cannot listen on --listen %.100s: %s%s", listen, strerror(-result),
             result == -EADDRINUSE ? "; choose another port, or end what listens there" : "");
    return EXIT_OWN_FAILURE;
}

static int start(struct serve *serve, char *error, size_t size)
{
    const int numbers[2] = {SIGINT, SIGTERM};
    int status = listen_to(serve, error, size);
    int result = 0;

    for (int i = 0; i < 2 && result == 0; i++)
        result = uv_signal_start(&serve->signals[i], on_signal, numbers[i]);
    if (result == 0)
        result = uv_timer_start(&serve->timer, on_timer, 0, EVERY_MS);
    if (status == 0 && result != 0) {
        snprintf(error, size, "cannot start: %s", strerror(-result));
        return EXIT_OWN_FAILURE;
    }
    return status;
}

static void close_all(struct serve *serve, int status)
{
    if (serve->http != NULL)
        serve->backend->close(serve->http);
    for (int i = 0; i < 2; i++)
        uv_close((uv_handle_t *)&serve->signals[i], NULL);
    uv_close((uv_handle_t *)&serve->timer, NULL);
    loop_finish(&serve->loop, status);
    board_free(serve->reader.board);
    free(serve->last);
    free(serve->current);
    free(serve->trouble);
    explicit_bzero(serve->token, sizeof serve->token);
}

static int run(struct serve *serve, char *error, size_t size)
{
    const struct ctl_options *options = serve->options;
    int status = 0;

    if (options->allow_control)
        status = control_take_token(options->token_file, serve->token, error, size);
    if (status == 0)
        status = start(serve, error, size);
    if (status == 0) {
        bool drawn = options->allow_control && options->token_file == NULL;

        /* What stands behind a # is sent to nobody. */
        printf("http://%s/%s%s\n", options->listen, drawn ? "#token=" : "",
               drawn ? serve->token : "");
        fflush(stdout);
        uv_run(&serve->loop, UV_RUN_DEFAULT);
    }
    return status;
}

int serve_run(const struct ctl_options *options, char *error, size_t size)
{
    struct serve serve = {.options = options};

    serve.reader.work.data = &serve.reader;
    int result = board_new(&serve.reader.board, options);
    if (result == 0)
        result = uv_loop_init(&serve.loop);
    if (result != 0) {
        snprintf(error, size, "cannot start: %s", strerror(-result));
        board_free(serve.reader.board);
        return EXIT_OWN_FAILURE;
    }
    serve.loop.data = &serve;
    serve.timer.data = &serve;
    uv_timer_init(&serve.loop, &serve.timer);
    for (int i = 0; i < 2; i++)
        uv_signal_init(&serve.loop, &serve.signals[i]);
    int status = run(&serve, error, size);
    close_all(&serve, status);
    return status;
}
