/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the program's own files are: in the source and build trees when it runs
 * from a build tree, else where 'make install' put them.
 */
#ifndef ORDEAL_HARNESS_PATHS_H
#define ORDEAL_HARNESS_PATHS_H

/* Data that ships: "scenarios/x.yaml".  The caller frees. */
char *paths_data(const char *relative);

/* A program that belongs to us: "ordeal-replica".  The caller frees. */
char *paths_program(const char *name);

/* This executable, absolute.  The caller frees. */
char *paths_self(void);

#endif
