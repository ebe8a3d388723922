/* The command's environment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "wrapper/environment.h"

static int count(char **environment, const char *entry)
{
    int found = 0;
    for (; *environment != NULL; environment++)
        if (strncmp(*environment, entry, strlen(entry)) == 0)
            found++;
    return found;
}

static void own_variables_replace_inherited_ones(void **state)
{
    char key[] = "k", name[] = "n";
    struct options options = {.key = key, .name = name, .timing = {.ttl_ms = 15000}};
    (void)state;
    setenv("LEADERWRAP_KEY", "outer", 1);
    setenv("LEADERWRAP_TOKEN", "7", 1);
    setenv("LEADERWRAP_TTL", "15s", 1);
    setenv("SOMETHING", "else", 1);
    setenv("LEADERWRAP_PASSWORD", "pw", 1);
    setenv("LEADERWRAP_SENTINEL_PASSWORD", "pw", 1);
    setenv("LEADERWRAP_REDIS", "redis://:pw@h", 1);
    setenv("LEADERWRAP_PASSWORD_FILE", "/run/secrets/redis", 1);
    setenv("REDIS_URL", "redis://:pw@h", 1);
    char **environment = environment_build(&options, "n#1");
    assert_non_null(environment);
    assert_int_equal(count(environment, "LEADERWRAP_KEY="), 1);
    assert_int_equal(count(environment, "LEADERWRAP_KEY=k"), 1);
    assert_int_equal(count(environment, "LEADERWRAP_ID=n#1"), 1);
    assert_int_equal(count(environment, "LEADERWRAP_NAME=n"), 1);
    assert_int_equal(count(environment, "LEADERWRAP_TTL_MS=15000"), 1);
    assert_int_equal(count(environment, "LEADERWRAP_TTL=15s"), 1);
    assert_int_equal(count(environment, "LEADERWRAP_TOKEN="), 0);
    assert_int_equal(count(environment, "SOMETHING=else"), 1);
    /* Our own password is nobody else's; what the application may have, it keeps. */
    assert_int_equal(count(environment, "LEADERWRAP_PASSWORD="), 0);
    assert_int_equal(count(environment, "LEADERWRAP_SENTINEL_PASSWORD="), 0);
    assert_int_equal(count(environment, "LEADERWRAP_REDIS="), 0);
    assert_int_equal(count(environment, "LEADERWRAP_PASSWORD_FILE="), 1);
    assert_int_equal(count(environment, "REDIS_URL=redis://:pw@h"), 1);
    environment_free(environment);
    environment_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_variables_replace_inherited_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
