/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <stdlib.h>

#include "harness/output.h"

const char *
output_directory(const char *given)
{
    const char *env = getenv("ORDEAL_OUTPUT");

    if (given != NULL)
        return given;
    return env != NULL && env[0] != '\0' ? env : "runs";
}
