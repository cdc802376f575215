/* The load's inner loop: what closed_loop.py, open_loop.py and fresh_connections.py do, for less time a
 * request. They are its oracle: each of their rules is kept here, and tests hold the two together.
 *
 * Called by compiled_loop.py, which gives the times (*_NS, *_MS), BUFFER_BYTES and ID_DIGITS as macros.
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
#define NO_CONNECTION (-1)
#define EVENTS_AT_ONCE 1023

struct record { /* RECORD_DTYPE of bench/slots/requests.py */
    int64_t intended_ns, sent_ns, first_byte_ns, done_ns, bytes;
    int32_t connection;
    int16_t status, outcome;
};
_Static_assert(sizeof(struct record) == 48, "RECORD_DTYPE has 48 bytes");

enum outcome { OK, HTTP_ERROR, FRAMING_ERROR, CONNECTION_ERROR, UNFINISHED };
enum reason { DONE, PAUSE, FULL, BROKEN, FAILED }; /* why a call ended */
enum stage { CLOSED, CONNECTING, OPEN, ANSWERED }; /* of a fresh connection; a kept one is CLOSED or OPEN */

struct connection {
    int fd;
    enum stage stage;
    int32_t number;
    int status;
    int64_t intended_ns; /* of one that rests: when its last request was done */
    int64_t sent_ns;     /* 0 while no request is in flight */
    int64_t first_byte_ns;
    int64_t length, remaining; /* of the body, once its head is complete */
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
    int64_t first_number, number_step; /* of the requests: a worker's arrivals are some of all */
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
    char *request, *number_at; /* number_at: where a request's number stands in it, or NULL */
    size_t request_bytes;
    struct sockaddr_storage server;
    socklen_t server_bytes;
    int known_status; /* of the last response; its head changes once a second, with its Date */
    int64_t known_length, known_bytes; /* of its body, and of all of it */
    size_t known_head_bytes;
    char known_head[2 * BUFFER_BYTES]; /* The longest: a buffer's bytes, and one more read. */
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

static const char *skip_blanks(const char *at, const char *end) {
    while (at < end && (*at == ' ' || *at == '\t'))
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

/* Whether `head`, its empty line included, is that of one response of a stated length. */
int parse_head(const char *head, size_t size, int may_close, int *status, int64_t *length) {
    const char *end = head + size, *at, *value, *value_end;
    int lengths = 0;
    /* HTTP/1\.1 ([1-5][0-9]{2}) [^\r\n]*\r\n */
    if (size < 13 || memcmp(head, "HTTP/1.1 ", 9) || head[9] < '1' || head[9] > '5' || !is_digit(head[10])
        || !is_digit(head[11]) || head[12] != ' ')
        return 0;
    at = find_line_end(head + 13, end);
    if (!is_crlf(at, end))
        return 0;
    *status = (head[9] - '0') * 100 + (head[10] - '0') * 10 + (head[11] - '0');
    for (; at; at = memmem(at + 2, end - at - 2, "\r\n", 2)) {
        /* \r\ncontent-length:[ \t]*([^\r\n]*?)[ \t]*(?=\r\n), one of them, and [0-9]{1,15} */
        if ((value = after("content-length:", at + 2, end))) {
            value = skip_blanks(value, end);
            value_end = find_line_end(value, end);
            if (!is_crlf(value_end, end))
                continue;
            while (value_end > value && (value_end[-1] == ' ' || value_end[-1] == '\t'))
                value_end--;
            lengths++;
            if (value == value_end || value_end - value > 15)
                return 0;
            for (*length = 0; value < value_end; value++) {
                if (!is_digit(*value))
                    return 0;
                *length = *length * 10 + (*value - '0');
            }
        } else if (after("transfer-encoding:", at + 2, end)) {
            return 0;
        } else if (!may_close && (value = after("connection:", at + 2, end))) {
            if (after("close", skip_blanks(value, end), end))
                return 0;
        }
    }
    return lengths == 1;
}

/* What a request keeps. */

static int is_full(const struct loop *l) { return l->end - l->next < 2; } /* No step writes more. */

static void write_record(struct loop *l, const struct connection *c, int64_t first_byte_ns, int64_t done_ns,
                         int64_t bytes, int status, enum outcome outcome) {
    *l->next++ = (struct record){c->intended_ns, c->sent_ns, first_byte_ns, done_ns, bytes, c->number,
                                 (int16_t)status, (int16_t)outcome};
}

static void write_failure(struct loop *l, const struct connection *c, int64_t done_ns, enum outcome outcome) {
    write_record(l, c, c->first_byte_ns, done_ns, l->keep_alive ? 0 : c->length, c->status, outcome);
}

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

static void disconnect(struct connection *c) {
    close(c->fd); /* epoll forgets what is closed. */
    c->stage = CLOSED;
    c->head_bytes = 0;
    c->sent_ns = c->first_byte_ns = c->length = c->remaining = c->status = 0;
}

static int watch(struct loop *l, struct connection *c, int operation, uint32_t events) {
    struct epoll_event event = {.events = events, .data.u32 = (uint32_t)c->number};
    return epoll_ctl(l->epoll, operation, c->fd, &event);
}

static int send_whole(struct loop *l, struct connection *c) {
    return send(c->fd, l->request, l->request_bytes, MSG_NOSIGNAL) == (ssize_t)l->request_bytes;
}

/* Take `size` bytes in the buffer as (part of) a head and of what follows it. */
static enum outcome take_head(struct loop *l, struct connection *c, size_t size) {
    char *head = l->buffer, *blank, *grown;
    size_t head_bytes;
    if (c->head_bytes) {
        if (!(grown = realloc(c->head, c->head_bytes + size)))
            return FRAMING_ERROR; /* Out of memory: nobody sends such heads. */
        memcpy(grown + c->head_bytes, l->buffer, size);
        head = c->head = grown;
        size += c->head_bytes;
    }
    if (!(blank = memmem(head, size, "\r\n\r\n", 4))) {
        if (size > BUFFER_BYTES)
            return FRAMING_ERROR;
        if (head == l->buffer) {
            if (!(grown = realloc(c->head, size)))
                return FRAMING_ERROR;
            memcpy(c->head = grown, head, size);
        }
        c->head_bytes = size;
        return OK;
    }
    head_bytes = blank + 4 - head;
    c->head_bytes = 0;
    if (!parse_head(head, head_bytes, !l->keep_alive, &c->status, &c->length)) {
        c->status = 0;
        c->length = 0;
        return FRAMING_ERROR;
    }
    c->remaining = c->length - (int64_t)(size - head_bytes);
    memcpy(l->known_head, head, head_bytes);
    l->known_head_bytes = head_bytes;
    l->known_status = c->status;
    l->known_length = c->length;
    l->known_bytes = (int64_t)head_bytes + c->length;
    return OK;
}

/* Kept-alive connections: closed_loop.Connections, open_loop.OpenConnections. */

/* Record the failure of what was in flight, if anything was; Python opens the connection anew. */
static void replace(struct loop *l, struct connection *c, enum outcome failure, int64_t t) {
    if (c->sent_ns) {
        write_failure(l, c, t, failure);
        l->in_flight--;
    } else {
        remove_idle(l, c);
    }
    disconnect(c);
    l->broken = c->number;
}

static void send_next(struct loop *l, struct connection *c) {
    l->in_flight++;
    c->sent_ns = now();
    if (!send_whole(l, c))
        replace(l, c, CONNECTION_ERROR, c->sent_ns);
}

/* Bytes of a response that needs several reads or whose head is new; OK: so far. */
static enum outcome take(struct loop *l, struct connection *c, ssize_t received, int64_t t) {
    enum outcome failure = OK;
    if (received <= 0)
        return CONNECTION_ERROR;
    if (!c->sent_ns)
        return FRAMING_ERROR; /* Nobody asked for it. */
    if (!c->first_byte_ns)
        c->first_byte_ns = t;
    if (c->remaining)
        c->remaining -= received;
    else
        failure = take_head(l, c, (size_t)received);
    return failure ? failure : c->remaining < 0 ? FRAMING_ERROR : OK;
}

/* Read what a connection has to say; where its request is done, send the next one in a closed loop. */
static enum reason turn_to_kept(struct loop *l, struct connection *c, int64_t send_until_ns) {
    ssize_t received = recv(c->fd, l->buffer, BUFFER_BYTES, 0);
    int64_t t = now();
    /* The common case by far: one whole response in one read, with the head of the one before. */
    if (received == l->known_bytes && c->sent_ns && !c->first_byte_ns
        && !memcmp(l->buffer, l->known_head, l->known_head_bytes)) {
        write_record(l, c, t, t, l->known_length, l->known_status, l->known_status == 200 ? OK : HTTP_ERROR);
    } else {
        enum outcome failure = take(l, c, received, t);
        if (failure) {
            replace(l, c, failure, t);
            return BROKEN;
        }
        if (c->remaining || c->head_bytes)
            return DONE;
        write_record(l, c, c->first_byte_ns, t, c->length, c->status, c->status == 200 ? OK : HTTP_ERROR);
        c->first_byte_ns = c->status = 0;
    }
    c->intended_ns = t + l->think_ns;
    c->sent_ns = 0;
    l->in_flight--;
    if (l->arrivals || l->think_ns || t >= send_until_ns || t >= l->pause_at_ns) {
        /* A pause comes between two requests of this connection: its own latency holds none. */
        push_idle(l, c);
        return !l->arrivals && t >= l->pause_at_ns ? PAUSE : DONE;
    }
    send_next(l, c);
    return l->broken == NO_CONNECTION ? DONE : BROKEN;
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

static void turn_to_fresh(struct loop *l, struct connection *c) {
    enum outcome failure = OK;
    ssize_t received;
    int64_t t;
    if (c->stage == CONNECTING) {
        if (!send_whole(l, c)) {
            fail(l, c, CONNECTION_ERROR);
            return;
        }
        c->stage = OPEN;
        watch(l, c, EPOLL_CTL_MOD, EPOLLIN);
        return;
    }
    received = recv(c->fd, l->buffer, BUFFER_BYTES, 0);
    t = now();
    if (c->stage == ANSWERED) {
        if (received > 0) /* Its record is written: that more came than was stated is an error of its own. */
            write_failure(l, c, t, FRAMING_ERROR);
        rest(l, c);
        return;
    }
    if (received <= 0) {
        fail(l, c, CONNECTION_ERROR);
        return;
    }
    if (!c->first_byte_ns)
        c->first_byte_ns = t;
    if (c->status)
        c->remaining -= received;
    else
        failure = take_head(l, c, (size_t)received);
    if (failure || c->remaining < 0) {
        fail(l, c, FRAMING_ERROR);
    } else if (c->status && !c->remaining) {
        write_failure(l, c, t, c->status == 200 ? OK : HTTP_ERROR);
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
        send_next(l, c);
        if (l->broken != NO_CONNECTION)
            return BROKEN;
    }
    return DONE;
}

/* Send the next arrival's request, on the connection that has rested longest. One at a time, so that an
 * answer does not wait behind a queue of requests. */
static enum reason send_arrival(struct loop *l) {
    struct connection *c = pop_idle(l);
    int64_t intended_ns = next_arrival(l), number = l->first_number + l->taken++ * l->number_step;
    if (!l->keep_alive)
        return begin(l, c, intended_ns);
    for (int digit = ID_DIGITS - 1; digit >= 0; digit--, number /= 10)
        l->number_at[digit] = (char)('0' + number % 10);
    c->intended_ns = intended_ns;
    send_next(l, c);
    return l->broken == NO_CONNECTION ? DONE : BROKEN;
}

/* Drive the load until `until_ns`; DONE: it is, or there is nothing left to do. */
enum reason turn(struct loop *l, int64_t send_until_ns, int64_t until_ns) {
    enum reason reason;
    l->broken = NO_CONNECTION;
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
                turn_to_fresh(l, c);
            else if ((reason = turn_to_kept(l, c, send_until_ns)))
                return reason;
        }
    }
}

/* Lifetime. */

/* Record what was never sent or is in flight as unfinished, and close every connection; FULL: call again. */
enum reason finish(struct loop *l) {
    for (; l->arrivals && l->taken < l->arrivals_count; l->taken++) {
        struct connection never = {.number = NO_CONNECTION, .intended_ns = l->arrivals[l->taken]};
        if (is_full(l))
            return FULL;
        write_record(l, &never, 0, 0, 0, 0, UNFINISHED);
    }
    for (int i = 0; i < l->count; i++) {
        struct connection *c = &l->connections[i];
        if (is_full(l))
            return FULL;
        if (c->stage == CLOSED)
            continue;
        if (c->sent_ns && c->stage != ANSWERED)
            write_failure(l, c, 0, UNFINISHED);
        disconnect(c);
    }
    return DONE;
}

void destroy(struct loop *l) {
    for (int i = 0; l->connections && i < l->count; i++)
        free(l->connections[i].head);
    if (l->epoll >= 0)
        close(l->epoll);
    free(l->connections);
    free(l->request);
    free(l);
}

/* Have Python's connected socket `fd` be the connection `number`; nonzero: errno. */
int attach(struct loop *l, int number, int fd) {
    struct connection *c = &l->connections[number];
    c->fd = fd;
    if (watch(l, c, EPOLL_CTL_ADD, EPOLLIN))
        return errno;
    c->stage = OPEN;
    c->intended_ns = 0;
    push_idle(l, c);
    l->opened++;
    return 0;
}

/* A loop of `count` connections; NULL with errno set where there can be none.
 * number_at: where in `request` each gets its number; -1: nowhere. server: a struct sockaddr. */
struct loop *create(int count, int keep_alive, int sleeps, const char *request, size_t request_bytes,
                    int64_t number_at, const char *server, size_t server_bytes) {
    struct loop *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    l->count = count;
    l->keep_alive = keep_alive;
    l->sleeps = sleeps;
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    l->connections = calloc((size_t)count, sizeof *l->connections);
    l->request = malloc(request_bytes);
    if (l->epoll < 0 || !l->connections || !l->request) {
        destroy(l);
        return NULL;
    }
    l->request_bytes = request_bytes;
    memcpy(l->request, request, request_bytes);
    l->number_at = number_at < 0 ? NULL : l->request + number_at;
    l->server_bytes = (socklen_t)server_bytes;
    memcpy(&l->server, server, server_bytes);
    l->known_bytes = BUFFER_BYTES + 1; /* No read is as long. */
    for (int i = 0; i < count; i++) {
        l->connections[i].number = i;
        if (!keep_alive)
            push_idle(l, &l->connections[i]);
    }
    return l;
}
