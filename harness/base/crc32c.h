/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32C (Castagnoli; RFC 3720 appendix B.4), by SSE 4.2 where present. */
#ifndef ORDEAL_BASE_CRC32C_H
#define ORDEAL_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Continue with the previous result; start with 0. */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);

#endif
