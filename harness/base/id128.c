/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "harness/base/id128.h"

void
id128_format(struct id128 id, char ret[static ID128_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";

    for (int i = 0; i < 16; i++) {
        ret[i] = digits[id.hi >> (60 - 4 * i) & 15];
        ret[16 + i] = digits[id.lo >> (60 - 4 * i) & 15];
    }
    ret[32] = '\0';
}

bool
id128_parse(const char *text, struct id128 *ret)
{
    uint64_t half[2] = {0, 0};

    for (int i = 0; i < 32; i++) {
        char c = text[i];
        uint64_t digit;

        if (c >= '0' && c <= '9')
            digit = (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            digit = (uint64_t)(c - 'a') + 10;
        else if (c >= 'A' && c <= 'F')
            digit = (uint64_t)(c - 'A') + 10;
        else
            return false;
        half[i / 16] = half[i / 16] << 4 | digit;
    }
    if (text[32] != '\0')
        return false;
    *ret = (struct id128){half[0], half[1]};
    return true;
}
