/*
 * leaderwrap that believes any Redis to be the master that its route has led it to: nobody is
 * asked. Only to show that asking is what the tests of Sentinel and Cluster test. Linked with
 * --wrap=redis_target_has_witnesses, see ld(1), so that the program itself has no such switch.
 */
#include "leaderwrap/redis/target.h"

bool __wrap_redis_target_has_witnesses(const struct redis_target *target);

bool __wrap_redis_target_has_witnesses(const struct redis_target *target)
{
    (void)target;
    return false;
}
