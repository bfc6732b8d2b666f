/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What 'svc' and init say to each other: one SOCK_SEQPACKET message each way.
 * A request is the arguments of svc, each ended by NUL; a reply is one byte of
 * exit status and then text (for standard output when the status is 0, else
 * for standard error).
 */
#ifndef ORDEAL_VM_IMAGES_SVC_WIRE_H
#define ORDEAL_VM_IMAGES_SVC_WIRE_H

#include "harness/base/error.h"

#define SVC_SOCKET "/run/ordeal/init.sock"

/* A command line of a daemon; far above any, below a socket's buffer. */
#define SVC_REQUEST_BYTES_MAX 65536
#define SVC_REPLY_BYTES_MAX 16384
#define SVC_ARGS_MAX 128

/* 'svc stop --timeout': nobody waits longer for a daemon's end. */
#define SVC_STOP_TIMEOUT_S 10
#define SVC_STOP_TIMEOUT_MAX_S 600

enum svc_status { SVC_OK = 0, SVC_FAILED = 1, SVC_USAGE = 2, SVC_NO_INIT = 3 };

/*
 * Sends the arguments to the socket and waits for the reply.  Returns its
 * status and puts its text, NUL-terminated, into 'ret'; SVC_NO_INIT with the
 * reason when there was no reply.
 */
enum svc_status svc_call(const char *socket_path, int argc,
                         const char *const argv[],
                         char ret[static SVC_REPLY_BYTES_MAX]);

#endif
