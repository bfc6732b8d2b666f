/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The functions of each model by number, and what stands in the columns of a
 * call: the agreement between a model, which fills them (models/NAME.c), and
 * the exact engines of that model, which read them (engines/NAME.c).
 *
 * In all: what an open call did not tell is VALUE_ABSENT.  Truths are the small
 * numbers 1 and 0.  Numbers (amounts, balances) are value numbers: ask
 * value_to_int.
 *
 * Threads: constants.
 */
#ifndef ORDEAL_ANALYZER_MODELS_FUNCTIONS_H
#define ORDEAL_ANALYZER_MODELS_FUNCTIONS_H

/* register, cas-register, kv (one key's value; append: kv alone). */
enum register_function {
    REGISTER_READ,   /* result: the value; open reads are left out */
    REGISTER_WRITE,  /* a: the value */
    REGISTER_CAS,    /* a: from, b: to; result: 1 set, 0 refused */
    REGISTER_APPEND, /* a: the text put behind the value */
};

/* fifo-queue. */
enum queue_function {
    QUEUE_ENQUEUE, /* a: the value */
    QUEUE_DEQUEUE, /* result: the value, or VALUE_NIL: it was empty */
};

/* stack. */
enum stack_function {
    STACK_PUSH, /* a: the value */
    STACK_POP,  /* result: the value, or VALUE_NIL: it was empty */
};

/* set.  Result of add and remove: 1 it changed the set, 0 it did not, ABSENT
 * nobody said. */
enum set_function {
    SET_ADD,      /* a: the element */
    SET_REMOVE,   /* a: the element */
    SET_CONTAINS, /* a: the element; result: 1 or 0 */
    SET_READ,     /* list: the elements, rising by value number */
};

/* mutex, fenced-lock; key: the lock.  What was refused is left out. */
enum lock_function {
    LOCK_ACQUIRE, /* a: the owner, or ABSENT; result: the token, or ABSENT */
    LOCK_RELEASE, /* a: the owner, or ABSENT; b: the token, or ABSENT */
};

/* lease; key: the lease.  list: the latest time at which the call took effect
 * and the earliest at which the lease that it gives can expire, two words each
 * (models/lease.c): nanoseconds, INT64_MIN when no time is known. */
enum { LEASE_CALL_END, LEASE_CALL_UNTIL = 2, LEASE_CALL_WORDS = 4 };
#define LEASE_UNTIL_NEVER INT64_MAX      /* not by the clock */
#define LEASE_UNTIL_SAME (INT64_MAX - 1) /* a renewal that does not say */
enum lease_function {
    LEASE_ACQUIRE, /* a: the owner, or ABSENT */
    LEASE_RELEASE, /* a: the owner, or ABSENT */
    LEASE_RENEW,   /* a: the owner, or ABSENT */
    LEASE_EXPIRE,  /* a: whose lease, or ABSENT */
    LEASE_READ,    /* result: the owner, or VALUE_NIL */
};

/* counter. */
enum counter_function {
    COUNTER_ADD,  /* a: the amount, perhaps negative */
    COUNTER_READ, /* result: the number */
};

/* bank. */
enum bank_function {
    BANK_TRANSFER, /* list: from, to, amount */
    BANK_READ,     /* list: account, balance, account, balance, ... */
};

/* unique-ids. */
enum unique_ids_function {
    UNIQUE_IDS_GENERATE, /* result: the id */
};

/* set-full. */
enum set_full_function {
    SET_FULL_ADD,  /* a: the element */
    SET_FULL_READ, /* list: the elements as they came, perhaps twice */
};

/* total-queue. */
enum total_queue_function {
    TOTAL_QUEUE_ENQUEUE, /* a: the value */
    TOTAL_QUEUE_DEQUEUE, /* result: the value, or VALUE_NIL: it was empty */
    TOTAL_QUEUE_DRAIN,   /* list: the values taken */
};

/* long-fork. */
enum long_fork_function {
    LONG_FORK_WRITE, /* a: the key, b: the value; one write a key */
    LONG_FORK_READ,  /* list: key, value (or VALUE_NIL), key, value, ... */
};

#endif
