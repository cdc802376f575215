/* The load's inner loop: what closed_loop.py, open_loop.py and fresh_connections.py do, for less time a
 * request. They are its oracle: each of their rules is kept here, and tests hold the two together.
 *
 * Called by compiled_loop.py, which gives the times (*_NS, *_MS), sizes and numbers of digits as macros.
 * A call of `turn` ends where Python has something to do: to let other tasks run, to give room for
 * records, to open a connection anew. What a call leaves undone, the next one goes on with: epoll is
 * level-triggered, and reports again what was not read.
 *
 * A request costs one send, one recv, two readings of the clock (no system calls: vDSO), a record of 48
 * bytes, and its part of an epoll_wait that returns as many connections as have something to say. */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#if !defined(__LP64__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "a record's bytes are those of a 64-bit little-endian machine"
#endif

#define NEVER_NS ((int64_t)1 << 62)
#define NONE_BROKEN (-1)
#define CHUNKED (-1) /* in the place of a length: the body says itself where it ends */
#define EVENTS_AT_ONCE 1023
#define UNKNOWN_BYTES (BUFFER_BYTES + 1) /* no read is as long */

struct record { /* RECORD_DTYPE of bench/slots/requests.py */
    int64_t intended_ns, sent_ns, first_byte_ns, done_ns, bytes;
    uint16_t connection, request;
    int16_t status, outcome;
};
_Static_assert(sizeof(struct record) == 48, "RECORD_DTYPE has 48 bytes");

enum outcome { OK, HTTP_ERROR, FRAMING_ERROR, CONNECTION_ERROR, UNFINISHED, STALLED };
enum reason { DONE, PAUSE, FULL, BROKEN, FAILED }; /* why a call ended */
enum stage { CLOSED, CONNECTING, OPEN, ANSWERED }; /* of a fresh connection; a kept one is CLOSED or OPEN */

enum chunk { /* what the next byte of a chunked body is part of: _At in chunks.py */
    SIZE,
    BLANKS,
    EXTENSION,
    SIZE_END,
    DATA,
    DATA_CR,
    DATA_LF,
    LINE,
    TRAILER,
    TRAILER_LF,
    LAST_LF,
    END
};

struct head {
    int status;     /* 0: not complete */
    int closes;     /* whether the connection ends behind the response */
    int64_t length; /* of the body, or CHUNKED; 0 where none follows */
};

struct ask { /* one of the load's requests: Asked in asks.py */
    char *request;
    size_t request_bytes;
    int64_t number_at; /* where its number stands in it; -1: nowhere */
    int status;        /* that its answer must have */
    int is_head, asks_end;
    /* Of its last answer, whose head changes once a second, with its Date. */
    struct head known;
    int64_t known_bytes; /* of all of it; no read is as long where its head does not say */
    char *known_head;
    size_t known_head_bytes;
};

struct connection {
    int fd;
    enum stage stage;
    uint16_t number;
    struct ask *ask;      /* whose answer it awaits, or had last */
    int64_t arrival;      /* number of the request among all workers' */
    size_t unsent;        /* bytes of the request that the socket had no room for */
    struct head response; /* so far */
    int64_t intended_ns; /* of one that rests: when its last request was done */
    int64_t sent_ns;     /* 0 while no request is in flight */
    int64_t first_byte_ns;
    int64_t moved_ns;  /* when some of an answer, or more of a request, last came through */
    int64_t remaining; /* of a body of a stated length, or of a chunk */
    enum chunk chunk;
    int size_digits, skipped; /* of a chunk's size; bytes of extensions or trailers */
    int64_t decoded;          /* bytes of a chunked body */
    char *head;                /* what has come of a head that needs several reads */
    size_t head_bytes;
    struct connection *next_idle;
};

struct loop {
    /* Python reads and writes these between two calls: `_Shared` in compiled_loop.py. */
    struct record *next, *end; /* room for records */
    int64_t pause_at_ns;
    const int64_t *arrivals; /* NULL: a closed loop */
    int64_t arrivals_count;
    int64_t taken, limit; /* arrivals that were sent, and that may be */
    int64_t first_number, number_step; /* of the requests: a worker's are some of all */
    const uint16_t *order;             /* whose turn it is, request after request, to begin anew at its end */
    int64_t order_length, order_at;
    int64_t draining;
    int64_t think_ns; /* of a closed loop: between an answer and the next request of its connection */
    int64_t to_wake; /* idle connections that get a request before anything else is done */
    int64_t idle;    /* connections without a request */
    int64_t opened, without_port, spun_ns;
    int64_t broken; /* number of the connection that is to be opened anew, after BROKEN */
    int64_t error;  /* errno, after FAILED */

    int keep_alive, sleeps, epoll, count;
    int64_t in_flight; /* requests; of fresh connections: those that are not closed */
    struct connection *connections, *first_idle, *last_idle;
    int asks_count;
    struct ask *asks;
    struct sockaddr_storage server;
    socklen_t server_bytes;
    char buffer[BUFFER_BYTES];
    struct epoll_event events[EVENTS_AT_ONCE];
};

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* Heads: heads.parse_head, whose regular expressions stand beside each part. */

static const char *find_line_end(const char *at, const char *end) {
    while (at < end && *at != '\r' && *at != '\n')
        at++;
    return at;
}

static int is_crlf(const char *at, const char *end) {
    return end - at >= 2 && at[0] == '\r' && at[1] == '\n';
}

static int is_blank(char c) { return c == ' ' || c == '\t'; }

static const char *skip_blanks(const char *at, const char *end) {
    while (at < end && is_blank(*at))
        at++;
    return at;
}

/* What follows `name` (lower case) where it stands at `at` in whatever case; NULL where it does not. */
static const char *after(const char *name, const char *at, const char *end) {
    for (; *name; name++, at++)
        if (at == end || (*at >= 'A' && *at <= 'Z' ? *at + 32 : *at) != *name)
            return NULL;
    return at;
}

static int is_digit(char c) { return c >= '0' && c <= '9'; }

/* Take one word of a Connection header: bit 1 `close`, bit 2 `keep-alive`. */
static int read_option(const char *at, const char *end) {
    at = skip_blanks(at, end);
    while (end > at && is_blank(end[-1]))
        end--;
    return after("close", at, end) == end ? 1 : after("keep-alive", at, end) == end ? 2 : 0;
}

static int read_options(const char *at, const char *end) {
    int options = 0;
    for (const char *comma; at <= end; at = comma + 1) {
        if (!(comma = memchr(at, ',', (size_t)(end - at))))
            comma = end;
        options |= read_option(at, comma);
    }
    return options;
}

/* [0-9]{1,15}; -1: it is none. */
static int64_t read_number(const char *at, const char *end) {
    int64_t number = 0;
    if (at == end || end - at > 15)
        return -1;
    for (; at < end; at++) {
        if (!is_digit(*at))
            return -1;
        number = number * 10 + (*at - '0');
    }
    return number;
}

/* Whether `content`, its empty line included, is a head of one response whose end it states; `to_head`: of an
 * answer to HEAD. */
int parse_head(const char *content, size_t size, int to_head, struct head *head) {
    const char *end = content + size, *at, *value, *value_end, *line_end;
    int lengths = 0, codings = 0, options = 0, is_old, has_none;
    head->length = 0;
    /* HTTP/1\.([01]) ([2-5][0-9]{2}) [^\r\n]*\r\n */
    if (size < 15 || memcmp(content, "HTTP/1.", 7) || (content[7] != '0' && content[7] != '1') || content[8] != ' '
        || content[9] < '2' || content[9] > '5' || !is_digit(content[10]) || !is_digit(content[11])
        || content[12] != ' ')
        return 0;
    is_old = content[7] == '0';
    head->status = (content[9] - '0') * 100 + (content[10] - '0') * 10 + (content[11] - '0');
    line_end = find_line_end(content + 13, end);
    for (;;) {
        if (!is_crlf(line_end, end))
            return 0;
        at = line_end + 2;
        if (is_crlf(at, end))
            break;
        /* [!-9;-~]+:[^\r\n]*\r\n */
        for (value = at; value < end && *value > ' ' && *value <= '~' && *value != ':';)
            value++;
        if (value == at || value == end || *value != ':')
            return 0;
        value = skip_blanks(value + 1, end);
        value_end = line_end = find_line_end(value, end);
        while (value_end > value && is_blank(value_end[-1]))
            value_end--;
        if (after("content-length:", at, end)) {
            lengths++;
            if ((head->length = read_number(value, value_end)) < 0)
                return 0;
        } else if (after("transfer-encoding:", at, end)) {
            codings++;
            if (after("chunked", value, value_end) != value_end || is_old)
                return 0;
            head->length = CHUNKED;
        } else if (after("connection:", at, end)) {
            options |= read_options(value, value_end);
        }
    }
    has_none = to_head || head->status == 204 || head->status == 304;
    if (at + 2 != end || lengths + codings > 1 || (lengths + codings == 0 && !has_none)
        || (head->status == 204 && head->length))
        return 0;
    if (has_none)
        head->length = 0;
    head->closes = options & 1 || (is_old && !(options & 2));
    return 1;
}

/* Chunks: chunks.py. */

static int read_digit(char c) {
    return is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* What follows a byte that is no data; -1: it is wrong. */
static int step_chunk(struct connection *c, char byte) {
    int digit, skips = EXTENSION;
    switch (c->chunk) {
    case SIZE:
        if ((digit = read_digit(byte)) >= 0) {
            if (++c->size_digits > SIZE_DIGITS)
                return -1;
            c->remaining = c->remaining * 16 + digit;
            return SIZE;
        }
        if (!c->size_digits)
            return -1;
        /* fall through */
    case BLANKS:
        if (byte == '\r')
            return SIZE_END;
        if (is_blank(byte))
            skips = BLANKS;
        else if (byte != ';')
            return -1;
        break;
    case EXTENSION:
        if (byte == '\r')
            return SIZE_END;
        break;
    case SIZE_END:
        c->size_digits = c->skipped = 0;
        return byte != '\n' ? -1 : c->remaining ? DATA : LINE;
    case DATA_CR:
        return byte == '\r' ? DATA_LF : -1;
    case DATA_LF:
        return byte == '\n' ? SIZE : -1;
    case LINE:
    case TRAILER:
        if (byte == '\r')
            return c->chunk == LINE ? LAST_LF : TRAILER_LF;
        skips = TRAILER;
        break;
    case TRAILER_LF:
        return byte == '\n' ? LINE : -1;
    case LAST_LF:
        return byte == '\n' ? END : -1;
    default: /* END */
        return -1;
    }
    return byte == '\n' || ++c->skipped > SKIPPED_BYTES ? -1 : skips;
}

/* Whether the `size` bytes at `at` go on with the chunked body, and end no later than it does. */
static int take_chunks(struct connection *c, const char *at, size_t size) {
    for (const char *end = at + size; at < end;) {
        if (c->chunk == DATA) {
            int64_t taken = end - at < c->remaining ? end - at : c->remaining;
            at += taken;
            c->decoded += taken;
            if (!(c->remaining -= taken))
                c->chunk = DATA_CR;
        } else {
            int next = step_chunk(c, *at++);
            if (next < 0)
                return 0;
            c->chunk = (enum chunk)next;
        }
    }
    return 1;
}

/* What a request keeps. */

static int is_full(const struct loop *l) { return l->end - l->next < 2; } /* No step writes more. */

static void write_record(struct loop *l, const struct connection *c, int64_t first_byte_ns, int64_t done_ns,
                         int64_t bytes, int status, enum outcome outcome) {
    *l->next++ = (struct record){c->intended_ns, c->sent_ns, first_byte_ns, done_ns, bytes, c->number,
                                 (uint16_t)(c->ask - l->asks), (int16_t)status, (int16_t)outcome};
}

/* Of a body in chunks the length is known at its end. */
static int64_t known_length(const struct connection *c) {
    return c->response.length != CHUNKED ? c->response.length : c->chunk == END ? c->decoded : 0;
}

/* Bytes of the body that are here. */
static int64_t received_length(const struct connection *c) {
    return c->response.length == CHUNKED ? c->decoded : c->response.length - c->remaining;
}

/* done_ns: 0 of one that never ended. */
static void write_failure(struct loop *l, const struct connection *c, int64_t done_ns, enum outcome outcome) {
    int64_t bytes = !done_ns ? received_length(c) : l->keep_alive ? 0 : known_length(c);
    write_record(l, c, c->first_byte_ns, done_ns, bytes, c->response.status, outcome);
}

static enum outcome judge(const struct ask *ask, int status) { return status == ask->status ? OK : HTTP_ERROR; }

/* Connections without a request, the one that has rested longest first. */

static void push_idle(struct loop *l, struct connection *c) {
    c->next_idle = NULL;
    *(l->first_idle ? &l->last_idle->next_idle : &l->first_idle) = c;
    l->last_idle = c;
    l->idle++;
}

static struct connection *pop_idle(struct loop *l) {
    struct connection *c = l->first_idle;
    l->first_idle = c->next_idle;
    l->idle--;
    return c;
}

static void remove_idle(struct loop *l, struct connection *gone) {
    for (int64_t left = l->idle; left > 0; left--) {
        struct connection *c = pop_idle(l);
        if (c != gone)
            push_idle(l, c);
    }
}

/* Forget what has come of an answer. */
static void forget(struct connection *c) {
    c->response = (struct head){0};
    c->head_bytes = 0;
    c->first_byte_ns = c->remaining = c->decoded = 0;
    c->size_digits = c->skipped = 0;
    c->chunk = SIZE;
}

static void disconnect(struct connection *c) {
    close(c->fd); /* epoll forgets what is closed. */
    c->stage = CLOSED;
    c->sent_ns = 0;
    c->unsent = 0;
    forget(c);
}

static int watch(struct loop *l, struct connection *c, int operation, uint32_t events) {
    struct epoll_event event = {.events = events, .data.u32 = (uint32_t)c->number};
    return epoll_ctl(l->epoll, operation, c->fd, &event);
}

/* Have the connection's next request be of the ask whose turn it is. */
static void take_turn(struct loop *l, struct connection *c) {
    c->ask = &l->asks[l->order[l->order_at]];
    if (++l->order_at == l->order_length)
        l->order_at = 0;
    c->unsent = c->ask->request_bytes;
}

/* Send what is left of a request, or a part of it; -1: the connection takes no more. */
static int send_more(struct connection *c) {
    const struct ask *ask = c->ask;
    ssize_t sent;
    if (ask->number_at >= 0 && c->unsent == ask->request_bytes) {
        int64_t number = c->arrival;
        for (int digit = ID_DIGITS - 1; digit >= 0; digit--, number /= 10)
            ask->request[ask->number_at + digit] = (char)('0' + number % 10);
    }
    sent = send(c->fd, ask->request + ask->request_bytes - c->unsent, c->unsent, MSG_NOSIGNAL);
    if (sent < 0)
        return errno == EAGAIN ? 0 : -1;
    c->unsent -= (size_t)sent;
    return 0;
}

/* Go on with a request where there is room again. Where the server has enough of it, it may have said why: the
 * next read shows that, or its end. */
static void go_on_sending(struct loop *l, struct connection *c) {
    size_t before = c->unsent;
    if (send_more(c) < 0 || !c->unsent)
        watch(l, c, EPOLL_CTL_MOD, EPOLLIN);
    if (c->unsent < before)
        c->moved_ns = now();
}

/* Bytes of the body at `body`; whether they are no more than it has. */
static int take_body(struct connection *c, const char *body, size_t size) {
    if (c->response.length == CHUNKED)
        return take_chunks(c, body, size);
    c->remaining -= (int64_t)size;
    return c->remaining >= 0;
}

static int is_complete(const struct connection *c) {
    return c->response.length == CHUNKED ? c->chunk == END : c->response.status && !c->remaining;
}

/* Keep the head of an answer, for those that are like it; 0: no memory. */
static int know(struct ask *ask, const char *content, size_t size, const struct head *head) {
    char *grown = size > ask->known_head_bytes ? realloc(ask->known_head, size) : ask->known_head;
    if (!grown)
        return 0;
    ask->known_head = memcpy(grown, content, size);
    ask->known_head_bytes = size;
    ask->known = *head;
    ask->known_bytes = head->length == CHUNKED || head->closes ? UNKNOWN_BYTES : (int64_t)size + head->length;
    return 1;
}

/* Take `size` bytes in the buffer as (part of) a head and of what follows it. */
static enum outcome take_head(struct loop *l, struct connection *c, size_t size) {
    struct ask *ask = c->ask;
    char *content = l->buffer, *blank, *grown;
    size_t head_bytes;
    if (c->head_bytes) {
        if (!(grown = realloc(c->head, c->head_bytes + size)))
            return FRAMING_ERROR; /* Out of memory: nobody sends such heads. */
        memcpy(grown + c->head_bytes, l->buffer, size);
        content = c->head = grown;
        size += c->head_bytes;
    }
    if (ask->known_head_bytes && size >= ask->known_head_bytes
        && !memcmp(content, ask->known_head, ask->known_head_bytes)) {
        head_bytes = ask->known_head_bytes;
        c->response = ask->known;
    } else {
        if (!(blank = memmem(content, size, "\r\n\r\n", 4))) {
            if (size > BUFFER_BYTES)
                return FRAMING_ERROR;
            if (content == l->buffer) {
                if (!(grown = realloc(c->head, size)))
                    return FRAMING_ERROR;
                memcpy(c->head = grown, content, size);
            }
            c->head_bytes = size;
            return OK;
        }
        head_bytes = (size_t)(blank + 4 - content);
        if (!parse_head(content, head_bytes, ask->is_head, &c->response)
            || !know(ask, content, head_bytes, &c->response)) {
            c->response = (struct head){0};
            return FRAMING_ERROR;
        }
    }
    c->head_bytes = 0;
    c->remaining = c->response.length == CHUNKED ? 0 : c->response.length;
    return take_body(c, content + head_bytes, size - head_bytes) ? OK : FRAMING_ERROR;
}

/* Take a read of an answer, of `size` bytes, in the buffer; OK: so far. */
static enum outcome take(struct loop *l, struct connection *c, size_t size, int64_t t) {
    if (!c->first_byte_ns)
        c->first_byte_ns = t;
    c->moved_ns = t;
    if (c->response.status)
        return take_body(c, l->buffer, size) ? OK : FRAMING_ERROR;
    return take_head(l, c, size);
}

/* Kept-alive connections: closed_loop.Connections, open_loop.OpenConnections. */

/* Have Python open the connection anew; its next request is intended when it was. */
static enum reason renew(struct loop *l, struct connection *c) {
    disconnect(c);
    l->broken = c->number;
    return BROKEN;
}

/* Record the failure of what was in flight, if anything was. */
static enum reason replace(struct loop *l, struct connection *c, enum outcome failure, int64_t t) {
    if (c->sent_ns) {
        write_failure(l, c, t, failure);
        l->in_flight--;
    } else {
        remove_idle(l, c);
    }
    c->intended_ns = 0;
    return renew(l, c);
}

static enum reason send_next(struct loop *l, struct connection *c) {
    take_turn(l, c);
    l->in_flight++;
    c->sent_ns = now();
    if (send_more(c) < 0)
        return replace(l, c, CONNECTION_ERROR, c->sent_ns);
    if (c->unsent)
        watch(l, c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
    return DONE;
}

/* Send more of a request; its first byte may leave only now. */
static void resume_kept(struct loop *l, struct connection *c) {
    if (c->unsent == c->ask->request_bytes)
        c->sent_ns = now();
    go_on_sending(l, c);
}

/* Read what a connection has to say; where its request is done, send the next one in a closed loop. */
static enum reason turn_to_kept(struct loop *l, struct connection *c, uint32_t event, int64_t send_until_ns) {
    const struct ask *ask = c->ask;
    int closes = 0;
    if (event & EPOLLOUT)
        resume_kept(l, c);
    if (event == EPOLLOUT)
        return DONE;
    ssize_t received = recv(c->fd, l->buffer, BUFFER_BYTES, 0);
    int64_t t = now();
    /* The common case by far: one whole response in one read, with the head of the one before. */
    if (received == ask->known_bytes && c->sent_ns && !c->first_byte_ns && !c->unsent
        && !memcmp(l->buffer, ask->known_head, ask->known_head_bytes)) {
        write_record(l, c, t, t, ask->known.length, ask->known.status, judge(ask, ask->known.status));
    } else {
        if (received < 0 && errno == EAGAIN)
            return DONE;
        enum outcome failure = received <= 0 ? CONNECTION_ERROR
            : !c->sent_ns                    ? FRAMING_ERROR /* Nobody asked for it. */
                                             : take(l, c, (size_t)received, t);
        if (failure)
            return replace(l, c, failure, t);
        if (!is_complete(c))
            return DONE;
        write_record(l, c, c->first_byte_ns, t, known_length(c), c->response.status,
                     judge(ask, c->response.status));
        /* A server that answers without having read the whole request reads no next one. */
        closes = c->response.closes || c->unsent;
        forget(c);
    }
    c->intended_ns = t + l->think_ns;
    c->sent_ns = 0;
    l->in_flight--;
    if (closes)
        return renew(l, c);
    if (l->arrivals || l->think_ns || t >= send_until_ns || t >= l->pause_at_ns) {
        /* A pause comes between two requests of this connection: its own latency holds none. */
        push_idle(l, c);
        return !l->arrivals && t >= l->pause_at_ns ? PAUSE : DONE;
    }
    return send_next(l, c);
}

/* A connection a request: fresh_connections.FreshConnections, open_loop.OpenFreshConnections. */

static void rest(struct loop *l, struct connection *c) {
    disconnect(c);
    l->in_flight--;
    c->intended_ns = now() + l->think_ns;
    push_idle(l, c);
}

static void fail(struct loop *l, struct connection *c, enum outcome failure) {
    write_failure(l, c, now(), failure);
    rest(l, c);
}

/* Ask for a connection, for a request that was intended at `intended_ns` (0: now). */
static enum reason begin(struct loop *l, struct connection *c, int64_t intended_ns) {
    int one = 1;
    c->fd = socket(l->server.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) {
        l->error = errno;
        return FAILED;
    }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    take_turn(l, c);
    c->stage = CONNECTING;
    c->sent_ns = now();
    c->intended_ns = intended_ns ? intended_ns : c->sent_ns;
    watch(l, c, EPOLL_CTL_ADD, EPOLLOUT);
    l->in_flight++;
    l->opened++;
    if (connect(c->fd, (struct sockaddr *)&l->server, l->server_bytes) && errno != EINPROGRESS) {
        l->without_port += errno == EADDRNOTAVAIL;
        fail(l, c, CONNECTION_ERROR);
    }
    return DONE;
}

/* Send the request, on a connection that is there or was refused. */
static void send_first(struct loop *l, struct connection *c) {
    if (send_more(c) < 0) {
        fail(l, c, CONNECTION_ERROR);
        return;
    }
    c->stage = OPEN;
    watch(l, c, EPOLL_CTL_MOD, c->unsent ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void turn_to_fresh(struct loop *l, struct connection *c, uint32_t event) {
    enum outcome failure;
    ssize_t received;
    int64_t t;
    if (c->stage == CONNECTING) {
        send_first(l, c);
        return; /* What else is to be done is reported again. */
    }
    if (event & EPOLLOUT)
        go_on_sending(l, c);
    if (event == EPOLLOUT)
        return;
    received = recv(c->fd, l->buffer, BUFFER_BYTES, 0);
    t = now();
    if (received < 0 && errno == EAGAIN)
        return;
    if (c->stage == ANSWERED) {
        if (received > 0) /* Its record is written: that more came than was stated is an error of its own. */
            write_failure(l, c, t, FRAMING_ERROR);
        rest(l, c);
        return;
    }
    if (received <= 0) {
        fail(l, c, CONNECTION_ERROR);
    } else if ((failure = take(l, c, (size_t)received, t))) {
        fail(l, c, failure);
    } else if (is_complete(c)) {
        write_failure(l, c, t, judge(c->ask, c->response.status));
        if (c->unsent || !c->ask->asks_end)
            rest(l, c); /* The server does not know that this was all. */
        else
            c->stage = ANSWERED; /* Only the server's end of the connection is awaited. */
    }
}

/* Waiting. */

static int64_t next_arrival(const struct loop *l) {
    return l->taken < l->limit ? l->arrivals[l->taken] : NEVER_NS;
}

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* A look in vain is no work, unless something came in between. */
static void count_look(struct loop *l, int64_t begun_ns, int64_t ended_ns) {
    if (ended_ns - begun_ns < LONGEST_LOOK_NS)
        l->spun_ns += ended_ns - begun_ns;
}

/* Arrivals._wait: one event, or none where a request can be sent first or the time is up; -1: pause. */
static int wait_for_one(struct loop *l, int64_t until_ns) {
    int64_t due_ns = l->idle ? least(next_arrival(l), until_ns) : until_ns, t = now();
    for (;;) {
        int64_t left_ns = due_ns - t;
        int ready;
        if (t >= l->pause_at_ns
            && ((left_ns > PAUSE_ROOM_NS && !l->in_flight) || t >= l->pause_at_ns + PAUSE_OVERDUE_NS))
            return -1;
        if (l->sleeps) { /* ppoll waits to the nanosecond, where epoll counts whole milliseconds. */
            struct pollfd any = {.fd = l->epoll, .events = POLLIN};
            struct timespec left = {.tv_nsec = left_ns < 0 ? 0 : least(left_ns, POLL_MS * INT64_C(1000000))};
            ppoll(&any, 1, &left, NULL);
            ready = epoll_wait(l->epoll, l->events, 1, 0);
            t = now();
        } else if (left_ns > SPIN_NS && !l->in_flight) {
            int64_t left_ms = (left_ns - SPIN_NS + 999999) / 1000000;
            ready = epoll_wait(l->epoll, l->events, 1, (int)least(left_ms, POLL_MS));
            t = now();
        } else {
            int64_t looked_ns = t;
            ready = epoll_wait(l->epoll, l->events, 1, 0);
            t = now();
            if (ready <= 0)
                count_look(l, looked_ns, t);
        }
        if (ready > 0 || t >= due_ns)
            return ready > 0 ? ready : 0;
    }
}

/* Give `to_wake` idle connections a request each. */
static enum reason wake(struct loop *l) {
    while (l->to_wake > 0) {
        if (is_full(l))
            return FULL;
        struct connection *c = pop_idle(l);
        l->to_wake--;
        if (!l->keep_alive) {
            if (begin(l, c, c->intended_ns))
                return FAILED;
            continue;
        }
        if (!c->intended_ns)
            c->intended_ns = now();
        if (send_next(l, c))
            return BROKEN;
    }
    return DONE;
}

/* Send the next arrival's request, on the connection that has rested longest. One at a time, so that an
 * answer does not wait behind a queue of requests. */
static enum reason send_arrival(struct loop *l) {
    struct connection *c = pop_idle(l);
    int64_t intended_ns = next_arrival(l);
    c->arrival = l->first_number + l->taken++ * l->number_step;
    if (!l->keep_alive)
        return begin(l, c, intended_ns);
    c->intended_ns = intended_ns;
    return send_next(l, c);
}

/* Drive the load until `until_ns`; DONE: it is, or there is nothing left to do. */
enum reason turn(struct loop *l, int64_t send_until_ns, int64_t until_ns) {
    enum reason reason;
    l->broken = NONE_BROKEN;
    for (;;) {
        if ((reason = wake(l)))
            return reason;
        int64_t t = now();
        int ready;
        if (t >= until_ns)
            return DONE;
        if (l->arrivals) {
            int64_t next_ns = next_arrival(l);
            if (is_full(l))
                return FULL;
            if (l->idle && next_ns <= t) {
                if ((reason = send_arrival(l)))
                    return reason;
            } else if (!l->in_flight && (l->draining || !l->idle)) {
                return DONE;
            }
            if ((ready = wait_for_one(l, until_ns)) < 0)
                return PAUSE;
        } else {
            int thinks = l->think_ns && l->idle && t < send_until_ns;
            if (t >= l->pause_at_ns)
                return PAUSE;
            if (l->idle && t < send_until_ns) {
                /* All think equally long: who was answered first asks first. */
                l->to_wake = thinks ? l->first_idle->intended_ns <= t : l->idle;
                if ((reason = wake(l)))
                    return reason;
            } else if (!l->in_flight) {
                return DONE;
            }
            ready = epoll_wait(l->epoll, l->events, EVENTS_AT_ONCE, thinks ? 0 : POLL_MS);
            if (thinks && !ready)
                count_look(l, t, now());
        }
        for (int i = 0; i < ready; i++) {
            struct connection *c = &l->connections[l->events[i].data.u32];
            if (is_full(l))
                return FULL;
            if (!l->keep_alive)
                turn_to_fresh(l, c, l->events[i].events);
            else if ((reason = turn_to_kept(l, c, l->events[i].events, send_until_ns)))
                return reason;
        }
    }
}

/* Lifetime. */

/* What became of a request that is in flight at the end. */
static enum outcome name_end(const struct connection *c) {
    return now() - (c->moved_ns > c->sent_ns ? c->moved_ns : c->sent_ns) >= STALL_NS ? STALLED : UNFINISHED;
}

/* Have its close end it at once: else the kernel goes on to send what was not acknowledged, into the next slot. */
static void break_off(const struct connection *c) {
    struct linger none = {.l_onoff = 1};
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
}

/* Record what was never sent or is in flight as unfinished or stalled, and close every connection; FULL: call
 * again. */
enum reason finish(struct loop *l) {
    for (; l->arrivals && l->taken < l->arrivals_count; l->taken++) {
        struct connection never = {.number = NO_CONNECTION, .intended_ns = l->arrivals[l->taken]};
        if (is_full(l))
            return FULL;
        take_turn(l, &never);
        write_record(l, &never, 0, 0, 0, 0, UNFINISHED);
    }
    for (int i = 0; i < l->count; i++) {
        struct connection *c = &l->connections[i];
        if (is_full(l))
            return FULL;
        if (c->stage == CLOSED)
            continue;
        if (c->sent_ns && c->stage != ANSWERED) {
            write_failure(l, c, 0, name_end(c));
            break_off(c);
        }
        disconnect(c);
    }
    return DONE;
}

void destroy(struct loop *l) {
    for (int i = 0; l->connections && i < l->count; i++)
        free(l->connections[i].head);
    if (l->epoll >= 0)
        close(l->epoll);
    for (int i = 0; l->asks && i < l->asks_count; i++) {
        free(l->asks[i].request);
        free(l->asks[i].known_head);
    }
    free(l->connections);
    free(l->asks);
    free(l);
}

/* Have Python's connected socket `fd` be the connection `number`; nonzero: errno. */
int attach(struct loop *l, int number, int fd) {
    struct connection *c = &l->connections[number];
    c->fd = fd;
    if (watch(l, c, EPOLL_CTL_ADD, EPOLLIN))
        return errno;
    c->stage = OPEN;
    push_idle(l, c);
    l->opened++;
    return 0;
}

/* Have the loop send `request` where it is the turn of the ask `index`; nonzero: errno. Of each, before anything
 * else. number_at: where in it each gets its number; -1: nowhere. status: that its answer must have. */
int give_ask(struct loop *l, int index, const char *request, size_t request_bytes, int64_t number_at, int status,
             int is_head, int asks_end) {
    struct ask *ask = &l->asks[index];
    if (!(ask->request = malloc(request_bytes)))
        return ENOMEM;
    memcpy(ask->request, request, request_bytes);
    ask->request_bytes = request_bytes;
    ask->number_at = number_at;
    ask->status = status;
    ask->is_head = is_head;
    ask->asks_end = asks_end;
    ask->known_bytes = UNKNOWN_BYTES;
    return 0;
}

/* A loop of `count` connections and so many asks; NULL with errno set where there can be none.
 * server: a struct sockaddr. */
struct loop *create(int count, int asks_count, int keep_alive, int sleeps, const char *server,
                    size_t server_bytes) {
    struct loop *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    l->count = count;
    l->asks_count = asks_count;
    l->keep_alive = keep_alive;
    l->sleeps = sleeps;
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    l->connections = calloc((size_t)count, sizeof *l->connections);
    l->asks = calloc((size_t)asks_count, sizeof *l->asks);
    if (l->epoll < 0 || !l->connections || !l->asks) {
        destroy(l);
        return NULL;
    }
    l->server_bytes = (socklen_t)server_bytes;
    memcpy(&l->server, server, server_bytes);
    for (int i = 0; i < count; i++) {
        l->connections[i].number = (uint16_t)i;
        l->connections[i].ask = l->asks;
        if (!keep_alive)
            push_idle(l, &l->connections[i]);
    }
    return l;
}
