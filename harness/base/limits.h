/* SPDX-License-Identifier: Apache-2.0 */
/* Every bound of the driver, each with its reason. */
#ifndef ORDEAL_BASE_LIMITS_H
#define ORDEAL_BASE_LIMITS_H

/* 9 tolerates four failures; more nodes only slow a run on one host. */
#define NODE_COUNT_MAX 9
#define NODE_NAME_MAX 64

/* One thread and one history process each; 8 MiB of stacks at most 64 KiB. */
#define CLIENT_COUNT_MAX 128

/* Longest captured output of a remote command: a status, never a log. */
#define EXEC_OUTPUT_BYTES_MAX (1u << 20)

/* Daemon logs and consoles taken into a bundle, per file. */
#define COLLECT_FILE_BYTES_MAX (64u << 20)

/* A fault plan of one run: 10 h at one fault in 3 s. */
#define FAULT_PLAN_MAX 12000

/* Scenario files are written by people. */
#define SCENARIO_BYTES_MAX (1u << 20)

#endif
