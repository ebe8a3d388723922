/* Acts from the page: who may ask, and for what. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/control.h"

#define TOKEN "0123456789abcdef"

static const char good[] = "{\"id\":\"a1\",\"act\":\"pause\",\"key\":\"k\",\"reason\":\"db\","
                           "\"for_ms\":1000}";

static struct http_request request_of(const char *body)
{
    return (struct http_request){
        .path = CONTROL_PATH,
        .host = "127.0.0.1:8080",
        .origin = "http://127.0.0.1:8080",
        .authorization = "Bearer " TOKEN,
        .content_type = "application/json",
        .is_post = true,
        .body = body,
        .body_length = strlen(body),
    };
}

static int judge(const struct http_request *request, struct control_wish *wish)
{
    char error[200] = "";
    int status = control_judge(TOKEN, request, wish, error, sizeof error);

    /* Each refusal has a sentence. */
    assert_true((status == 0) == (error[0] == '\0'));
    return status;
}

static int judge_body(const char *body, struct control_wish *wish)
{
    const struct http_request request = request_of(body);

    return judge(&request, wish);
}

static void an_act_is_taken_apart(void **state)
{
    struct control_wish wish;

    (void)state;
    assert_int_equal(judge_body(good, &wish), 0);
    assert_int_equal(wish.command, CTL_PAUSE);
    assert_string_equal(wish.id, "a1");
    assert_string_equal(wish.key, "k");
    assert_string_equal(wish.text, "db");
    assert_int_equal(wish.span_ms, 1000);
    assert_int_equal(judge_body("{\"id\":\"2\",\"act\":\"resume\",\"key\":\"k\"}", &wish), 0);
    assert_int_equal(wish.command, CTL_RESUME);
    assert_string_equal(wish.text, "");
    assert_int_equal(
        judge_body("{\"to\":\"db2\",\"id\":\"3\",\"act\":\"step-down\",\"key\":\"k\"}", &wish), 0);
    assert_int_equal(wish.command, CTL_STEP_DOWN);
    assert_string_equal(wish.text, "db2");
    assert_int_equal(wish.span_ms, OPTIONS_STEP_DOWN_MS);
}

static void only_its_own_page_may_ask(void **state)
{
    static const char *const bad[] = {
        "",
        "null",
        "http://127.0.0.1:8081",
        "http://127.0.0.1:80801",
        "http://127.0.0.1",
        "http://evil.example",
        "ftp://127.0.0.1:8080",
        "127.0.0.1:8080",
        "http://127.0.0.1:8080/",
        "http://127.0.0.1:8080.evil.example",
    };
    struct http_request request = request_of(good);
    struct control_wish wish;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        request.origin = bad[i];
        assert_int_equal(judge(&request, &wish), 403);
    }
    request.origin = "https://127.0.0.1:8080";
    assert_int_equal(judge(&request, &wish), 0);
    /* Both unknown are not the same. */
    request.host = "";
    request.origin = "http://";
    assert_int_equal(judge(&request, &wish), 403);
}

static void only_who_has_the_token_may_ask(void **state)
{
    static const char *const bad[] = {
        "",
        TOKEN,
        "Bearer",
        "Bearer ",
        "Bearer 0123456789abcdeF",
        "Bearer 1123456789abcdef",
        "Bearer " TOKEN "0",
        "Bearer 0123456789abcde",
        "Basic " TOKEN,
        "Bearer  " TOKEN,
    };
    struct http_request request = request_of(good);
    struct control_wish wish;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        request.authorization = bad[i];
        assert_int_equal(judge(&request, &wish), 401);
    }
    request.authorization = "bearer " TOKEN;
    assert_int_equal(judge(&request, &wish), 0);
}

static void what_a_form_can_send_is_no_act(void **state)
{
    static const char *const bad[] = {"",
                                      "text/plain",
                                      "application/x-www-form-urlencoded",
                                      "multipart/form-data",
                                      "application/jsonp",
                                      "text/plain; application/json"};
    struct http_request request = request_of(good);
    struct control_wish wish;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        request.content_type = bad[i];
        assert_int_equal(judge(&request, &wish), 415);
    }
    request.content_type = "Application/JSON; charset=utf-8";
    assert_int_equal(judge(&request, &wish), 0);
}

static void what_is_no_act_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "{",
        "[]",
        "null",
        "{}",
        "{\"act\":\"pause\",\"key\":\"k\"}",
        "{\"id\":\"\",\"act\":\"pause\",\"key\":\"k\"}",
        "{\"id\":\"1-\",\"act\":\"pause\",\"key\":\"k\"}",
        "{\"id\":\"1\",\"act\":\"pause\"}",
        "{\"id\":\"1\",\"act\":\"pause\",\"key\":\"\"}",
        "{\"id\":\"1\",\"act\":\"pause\",\"key\":\"{\"}",
        "{\"id\":\"1\",\"act\":\"pause\",\"key\":7}",
        "{\"id\":\"1\",\"act\":\"pause\",\"key\":\"k\",\"key\":\"l\"}",
        "{\"id\":\"1\",\"act\":\"pause\",\"key\":\"k\\u0000\"}",
        "{\"id\":\"1\",\"act\":\"pause\",\"key\":\"k\",\"to\":\"db2\"}",
        "{\"id\":\"1\",\"act\":\"pause\",\"key\":\"k\",\"reason\":\"a\\nb\"}",
        "{\"id\":\"1\",\"act\":\"pause\",\"key\":\"k\",\"for_ms\":0}",
        "{\"id\":\"1\",\"act\":\"pause\",\"key\":\"k\",\"for_ms\":-1}",
        "{\"id\":\"1\",\"act\":\"pause\",\"key\":\"k\",\"for_ms\":\"1\"}",
        "{\"id\":\"1\",\"act\":\"pause\",\"key\":\"k\",\"for_ms\":2592000001}",
        "{\"id\":\"1\",\"act\":\"pause\",\"key\":\"k\",\"force\":true}",
        "{\"id\":\"1\",\"act\":\"resume\",\"key\":\"k\",\"for_ms\":1}",
        "{\"id\":\"1\",\"act\":\"resume\",\"key\":\"k\",\"reason\":\"\"}",
        "{\"id\":\"1\",\"act\":\"step-down\",\"key\":\"k\",\"to\":\"a#b\"}",
        "{\"id\":\"1\",\"act\":\"step-down\",\"key\":\"k\",\"reason\":\"r\"}",
        "{\"id\":\"1\",\"act\":\"rm\",\"key\":\"k\"}",
        "{\"id\":\"1\",\"act\":\"release\",\"key\":\"k\"}",
        "{\"id\":\"1\",\"act\":1,\"key\":\"k\"}",
    };
    struct control_wish wish;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (judge_body(bad[i], &wish) != 400)
            fail_msg("%s", bad[i]);
}

static void texts_are_taken_whole_or_not_at_all(void **state)
{
    char body[1024];
    char text[700];
    struct control_wish wish;
    static const struct {
        const char *form;
        int most;
    } fields[] = {
        {"{\"id\":\"%s\",\"act\":\"pause\",\"key\":\"k\"}", CONTROL_ID_SIZE - 1},
        {"{\"id\":\"1\",\"act\":\"pause\",\"key\":\"%s\"}", 512},
        {"{\"id\":\"1\",\"act\":\"pause\",\"key\":\"k\",\"reason\":\"%s\"}", LEASE_WISH_SIZE - 1},
        {"{\"id\":\"1\",\"act\":\"step-down\",\"key\":\"k\",\"to\":\"%s\"}", LEASE_NAME_MAX},
    };

    (void)state;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        for (int more = 0; more < 2; more++) {
            memset(text, 'x', sizeof text);
            text[fields[i].most + more] = '\0';
            snprintf(body, sizeof body, fields[i].form, text);
            assert_int_equal(judge_body(body, &wish), more ? 400 : 0);
        }
}

/* ---- the token ---- */

static int take_from_file(const char *text, char token[CONTROL_TOKEN_SIZE])
{
    char path[] = "/tmp/lw-token-XXXXXX";
    char error[300] = "";
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    int status = control_take_token(path, token, error, sizeof error);
    unlink(path);
    assert_true((status == 0) == (error[0] == '\0'));
    return status;
}

static void a_token_is_the_first_line_of_its_file(void **state)
{
    char token[CONTROL_TOKEN_SIZE];
    char longest[CONTROL_TOKEN_SIZE + 1];

    (void)state;
    assert_int_equal(take_from_file(TOKEN "\nmore\n", token), 0);
    assert_string_equal(token, TOKEN);
    assert_int_equal(take_from_file(TOKEN, token), 0);
    assert_string_equal(token, TOKEN);
    assert_int_equal(take_from_file("0123456789abcde\n", token), EXIT_USAGE);
    assert_int_equal(take_from_file("01234567 89abcdef\n", token), EXIT_USAGE);
    assert_int_equal(take_from_file("\n" TOKEN, token), EXIT_USAGE);
    assert_int_equal(take_from_file("", token), EXIT_USAGE);
    memset(longest, 'x', sizeof longest);
    longest[CONTROL_TOKEN_SIZE - 1] = '\0';
    assert_int_equal(take_from_file(longest, token), 0);
    longest[CONTROL_TOKEN_SIZE - 1] = 'x';
    longest[CONTROL_TOKEN_SIZE] = '\0';
    assert_int_equal(take_from_file(longest, token), EXIT_USAGE);
}

static void a_token_that_is_drawn_is_another_each_time(void **state)
{
    char one[CONTROL_TOKEN_SIZE];
    char two[CONTROL_TOKEN_SIZE];
    char error[200];

    (void)state;
    assert_int_equal(control_take_token(NULL, one, error, sizeof error), 0);
    assert_int_equal(control_take_token(NULL, two, error, sizeof error), 0);
    assert_int_equal(strlen(one), 32);
    assert_string_not_equal(one, two);
    assert_int_equal(control_take_token("/nonexistent/token", one, error, sizeof error),
                     EXIT_USAGE);
    assert_non_null(strstr(error, "/nonexistent/token: No such file"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_act_is_taken_apart),
        cmocka_unit_test(only_its_own_page_may_ask),
        cmocka_unit_test(only_who_has_the_token_may_ask),
        cmocka_unit_test(what_a_form_can_send_is_no_act),
        cmocka_unit_test(what_is_no_act_is_refused),
        cmocka_unit_test(texts_are_taken_whole_or_not_at_all),
        cmocka_unit_test(a_token_is_the_first_line_of_its_file),
        cmocka_unit_test(a_token_that_is_drawn_is_another_each_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
