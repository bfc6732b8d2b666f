/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading JSON objects that people wrote (schedules, fault parameters):
 * unknown keys and wrong types are ERROR_CONFIG and name the key.
 */
#ifndef ORDEAL_NEMESIS_PARAMS_H
#define ORDEAL_NEMESIS_PARAMS_H

#include <jansson.h>
#include <stdint.h>

#include "harness/base/error.h"

/* Before the list of those known, in the error of params_check_keys(). */
#define PARAMS_KEYS " (there are: "

/* 'keys' is NULL-terminated; every key of 'object' must be in it. */
int params_check_keys(const json_t *object, const char *const keys[],
                      struct error *err);

/* Each leaves *ret as it is when the key is absent. */
int params_duration(const json_t *object, const char *key, int64_t *ret_ns,
                    struct error *err);
int params_number(const json_t *object, const char *key, double min, double max,
                  double *ret, struct error *err);
/* Borrowed from the object. */
int params_string(const json_t *object, const char *key, const char **ret,
                  struct error *err);
/* *ret is the place of the word in 'words' (NULL-terminated). */
int params_choice(const json_t *object, const char *key,
                  const char *const words[], unsigned *ret, struct error *err);

#endif
