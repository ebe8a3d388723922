/*
 * What a launch under a Redis lock costs at the very least: connect, SET NX PX, exec. No renewal,
 * no supervision, no safety; it is only here to be compared with.
 *
 *     bare PORT KEY COMMAND [ARG]...
 */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    if (argc < 4)
        return 64;
    redisContext *redis = redisConnect("127.0.0.1", (int)strtol(argv[1], NULL, 10));
    if (redis == NULL || redis->err != 0)
        return 69;
    redisReply *reply = redisCommand(redis, "SET %s %d NX PX 15000", argv[2], (int)getpid());
    if (reply == NULL || reply->type != REDIS_REPLY_STATUS)
        return 75;
    freeReplyObject(reply);
    redisFree(redis);
    execvp(argv[3], argv + 3);
    return 127;
}
