/* SPDX-License-Identifier: Apache-2.0 */
/* ordeal-replica: options, then the server until it ends. */
#include "config.h"

#include "harness/base/log.h"
#include "replica/server.h"

int
main(int argc, char **argv)
{
    struct replica_options options;
    struct error err;
    int rc = replica_options_parse(argc, argv, &options, &err);

    if (rc > 0)
        return REPLICA_EXIT_OK;
    if (rc < 0) {
        log_error("ordeal-replica", "%s", err.text);
        return REPLICA_EXIT_USAGE;
    }
    log_set_level(options.log_level);
    return server_run(&options);
}
