/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "harness/base/log.h"

#define LOG_LINE_MAX 2048

static struct {
    pthread_mutex_t lock;
    enum log_level level;
    char debug[256];
    void (*sink)(void *ctx, enum log_level level, const char *line);
    void *sink_ctx;
} log_state = {.lock = PTHREAD_MUTEX_INITIALIZER, .level = LOG_INFO};

void
log_set_level(enum log_level level)
{
    pthread_mutex_lock(&log_state.lock);
    log_state.level = level;
    pthread_mutex_unlock(&log_state.lock);
}

void
log_set_debug(const char *modules)
{
    pthread_mutex_lock(&log_state.lock);
    snprintf(log_state.debug, sizeof(log_state.debug), ",%s,", modules);
    pthread_mutex_unlock(&log_state.lock);
}

void
log_set_sink(void (*sink)(void *ctx, enum log_level level, const char *line),
             void *ctx)
{
    pthread_mutex_lock(&log_state.lock);
    log_state.sink = sink;
    log_state.sink_ctx = ctx;
    pthread_mutex_unlock(&log_state.lock);
}

static bool
log_wanted(enum log_level level, const char *module)
{
    char needle[64];

    if (level <= log_state.level)
        return true;
    if (log_state.debug[0] == '\0')
        return false;
    snprintf(needle, sizeof(needle), ",%s,", module);
    return strstr(log_state.debug, needle) != NULL ||
           strstr(log_state.debug, ",all,") != NULL;
}

void
log_message(enum log_level level, const char *module, const char *fmt, ...)
{
    static const char *const names[] = {"error: ", "warning: ", "", "debug: "};
    char line[LOG_LINE_MAX];
    int used;
    va_list ap;

    pthread_mutex_lock(&log_state.lock);
    if (log_wanted(level, module)) {
        used = snprintf(line, sizeof(line), "%s%s: ", names[level], module);
        va_start(ap, fmt);
        vsnprintf(line + used, sizeof(line) - (size_t)used, fmt, ap);
        va_end(ap);
        if (log_state.sink != NULL)
            log_state.sink(log_state.sink_ctx, level, line);
        else
            fprintf(stderr, "%s\n", line);
    }
    pthread_mutex_unlock(&log_state.lock);
}
