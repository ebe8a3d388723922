/* The scripts of the lease; their texts are in scripts/. */
#ifndef LEADERWRAP_REDIS_SCRIPTS_H
#define LEADERWRAP_REDIS_SCRIPTS_H

#include "leaderwrap/redis/script.h"

extern const struct script script_acquire;
extern const struct script script_renew;
extern const struct script script_release;

#endif
