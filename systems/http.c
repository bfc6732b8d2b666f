/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call resets the easy handle, sets every option anew, performs, and maps
 * libcurl's code to what is certain.
 *
 * Failure modes: only CURLE_COULDNT_CONNECT with no request byte written is
 * "refused"; every code not listed is "malformed", which callers must read as
 * doubt.  Replies beyond the limits end the transfer from the write callbacks.
 */
#include "config.h"

#include <assert.h>
#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "harness/base/arena.h"
#include "harness/base/buf.h"
#include "harness/base/clock.h"
#include "systems/http.h"

struct http {
    CURL *easy;
    struct curl_slist *headers;
    struct buf body;
    size_t header_bytes;
};

static pthread_once_t http_once = PTHREAD_ONCE_INIT;
static CURLcode http_global_code;

static void
http_global_init(void)
{
    http_global_code = curl_global_init(CURL_GLOBAL_DEFAULT);
}

static size_t
http_on_body(char *data, size_t size, size_t count, void *ctx)
{
    struct http *h = ctx;

    if (size * count > h->body.max - h->body.len)
        return 0;
    buf_append(&h->body, data, size * count);
    return size * count;
}

static size_t
http_on_header(char *data, size_t size, size_t count, void *ctx)
{
    struct http *h = ctx;

    h->header_bytes += size * count;
    return h->header_bytes > HTTP_HEADER_BYTES_MAX ? 0 : size * count;
}

/*
 * A socket of the way's own machine.  Without one there is no connection, and
 * nothing was sent; that it is our fault, the machine's check() says.
 */
static curl_socket_t
http_on_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
    const struct way *way = ctx;
    struct error err;
    int fd;

    if (purpose != CURLSOCKTYPE_IPCXN || address->family != AF_INET)
        return CURL_SOCKET_BAD;
    fd = way_socket(way, SOCK_STREAM, &err);
    return fd < 0 ? CURL_SOCKET_BAD : fd;
}

static bool
http_add_header(struct http *h, const char *line)
{
    struct curl_slist *list = curl_slist_append(h->headers, line);

    if (list == NULL)
        return false;
    h->headers = list;
    return true;
}

struct http *
http_new(struct error *err)
{
    struct http *h;

    pthread_once(&http_once, http_global_init);
    h = xcalloc(1, sizeof(*h));
    buf_init(&h->body, HTTP_BODY_BYTES_MAX);
    if (http_global_code == CURLE_OK)
        h->easy = curl_easy_init();
    if (h->easy == NULL ||
        !http_add_header(h, "Content-Type: application/json") ||
        !http_add_header(h, "Connection: close") ||
        !http_add_header(h, "Expect:")) {
        error_set(err, ERROR_ENVIRONMENT, "libcurl does not initialise");
        http_free(h);
        return NULL;
    }
    return h;
}

void
http_free(struct http *h)
{
    if (h == NULL)
        return;
    curl_easy_cleanup(h->easy);
    curl_slist_free_all(h->headers);
    buf_release(&h->body);
    free(h);
}

/* curl_easy_setopt checks types by macro; a refused option is our mistake. */
#define HTTP_SET(easy, option, value)                                          \
    do {                                                                       \
        CURLcode set_code_ = curl_easy_setopt(easy, option, value);            \
        assert(set_code_ == CURLE_OK);                                         \
    } while (0)

/* What makes one call one request.  Each line closes one way to a second. */
static void
http_set_once(CURL *easy)
{
    HTTP_SET(easy, CURLOPT_FRESH_CONNECT, 1L);
    HTTP_SET(easy, CURLOPT_FORBID_REUSE, 1L);
    HTTP_SET(easy, CURLOPT_FOLLOWLOCATION, 0L);
    HTTP_SET(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    HTTP_SET(easy, CURLOPT_HTTP09_ALLOWED, 0L);
    HTTP_SET(easy, CURLOPT_PROTOCOLS_STR, "http");
    HTTP_SET(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    HTTP_SET(easy, CURLOPT_NOPROXY, "*");
    HTTP_SET(easy, CURLOPT_PROXY, "");
    HTTP_SET(easy, CURLOPT_IPRESOLVE, (long)CURL_IPRESOLVE_V4);
    HTTP_SET(easy, CURLOPT_NOSIGNAL, 1L);
}

static void
http_set_request(struct http *h, const struct http_request *request,
                 const char *url)
{
    long timeout_ms = (long)(request->timeout_ns / NS_PER_MS);

    curl_easy_reset(h->easy);
    http_set_once(h->easy);
    HTTP_SET(h->easy, CURLOPT_URL, url);
    HTTP_SET(h->easy, CURLOPT_TIMEOUT_MS, timeout_ms > 0 ? timeout_ms : 1L);
    HTTP_SET(h->easy, CURLOPT_HTTPHEADER, h->headers);
    HTTP_SET(h->easy, CURLOPT_WRITEFUNCTION, http_on_body);
    HTTP_SET(h->easy, CURLOPT_WRITEDATA, h);
    HTTP_SET(h->easy, CURLOPT_HEADERFUNCTION, http_on_header);
    HTTP_SET(h->easy, CURLOPT_HEADERDATA, h);
    HTTP_SET(h->easy, CURLOPT_OPENSOCKETFUNCTION, http_on_socket);
    HTTP_SET(h->easy, CURLOPT_OPENSOCKETDATA, &request->way);
    if (request->body == NULL) {
        HTTP_SET(h->easy, CURLOPT_HTTPGET, 1L);
        return;
    }
    HTTP_SET(h->easy, CURLOPT_POST, 1L);
    HTTP_SET(h->easy, CURLOPT_POSTFIELDSIZE, (long)strlen(request->body));
    HTTP_SET(h->easy, CURLOPT_POSTFIELDS, request->body);
}

static enum http_outcome
http_classify(CURL *easy, CURLcode code)
{
    long sent_bytes = 0;

    switch (code) {
    case CURLE_OK:
        return HTTP_ANSWERED;
    case CURLE_COULDNT_CONNECT:
        curl_easy_getinfo(easy, CURLINFO_REQUEST_SIZE, &sent_bytes);
        return sent_bytes == 0 ? HTTP_REFUSED : HTTP_RESET;
    case CURLE_OPERATION_TIMEDOUT:
        return HTTP_TIMEOUT;
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_PARTIAL_FILE:
        return HTTP_RESET;
    default:
        return HTTP_MALFORMED;
    }
}

void
http_call(struct http *h, const struct http_request *request,
          struct http_reply *ret)
{
    CLEANUP_FREE char *url = xasprintf("http://%s:%u%s", request->way.address,
                                       request->way.port, request->path);
    CURLcode code;

    assert(request->timeout_ns > 0 && request->way.port != 0);
    assert(request->path[0] == '/');
    buf_reset(&h->body);
    h->body.max =
        request->body_max > 0 ? request->body_max : HTTP_BODY_BYTES_MAX;
    h->header_bytes = 0;
    http_set_request(h, request, url);
    code = curl_easy_perform(h->easy);
    memset(ret, 0, sizeof(*ret));
    ret->outcome = http_classify(h->easy, code);
    if (ret->outcome == HTTP_ANSWERED)
        curl_easy_getinfo(h->easy, CURLINFO_RESPONSE_CODE, &ret->status);
    ret->body = buf_text(&h->body);
    ret->body_len = h->body.len;
}

const char *
http_outcome_name(enum http_outcome outcome)
{
    switch (outcome) {
    case HTTP_ANSWERED:
        return "answered";
    case HTTP_REFUSED:
        return "refused";
    case HTTP_TIMEOUT:
        return "timeout";
    case HTTP_RESET:
        return "reset";
    case HTTP_MALFORMED:
        return "malformed_reply";
    }
    return "?";
}
