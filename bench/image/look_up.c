/* Looks NAME up for WARM_UP seconds and then for SECONDS, one lookup after the other, as any program does it:
 * by the C library, with what /etc/nsswitch.conf and /etc/resolv.conf around it say. FAMILY: `any` (A and
 * AAAA) or `ipv4` (A). Each of the two times holds one lookup at least; the last of each ends by itself.
 * Prints, when all is done, the CLOCK_MONOTONIC ns at which SECONDS began; then a line a lookup: ns before
 * and after, what getaddrinfo(3) returned, and the first IPv4 address that it found, or `-`. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct lookup {
    long begun_ns, done_ns;
    int result;
    char address[INET_ADDRSTRLEN];
};

static long now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000L + now.tv_nsec;
}

static void find_address(const struct addrinfo *found, char *address) {
    strcpy(address, "-");
    for (; found; found = found->ai_next)
        if (found->ai_family == AF_INET) {
            inet_ntop(AF_INET, &((struct sockaddr_in *)found->ai_addr)->sin_addr, address, INET_ADDRSTRLEN);
            return;
        }
}

int main(int count, char **words) {
    if (count != 5) {
        fprintf(stderr, "usage: look_up NAME any|ipv4 WARM_UP SECONDS\n");
        return 2;
    }
    struct addrinfo wanted = {.ai_socktype = SOCK_STREAM};
    wanted.ai_family = strcmp(words[2], "ipv4") ? AF_UNSPEC : AF_INET;
    long window_ns = 0;
    struct lookup *kept = NULL;
    size_t made = 0, room = 0;
    for (int part = 3; part <= 4; part++) {
        window_ns = now_ns();
        long until_ns = window_ns + (long)(atof(words[part]) * 1e9);
        do {
            if (made == room) {
                room = room ? 2 * room : 4096;
                kept = realloc(kept, room * sizeof *kept);
                if (!kept) {
                    perror("look_up");
                    return 1;
                }
            }
            struct lookup *one = &kept[made++];
            struct addrinfo *found = NULL;
            one->begun_ns = now_ns();
            one->result = getaddrinfo(words[1], NULL, &wanted, &found);
            one->done_ns = now_ns();
            find_address(found, one->address);
            if (found)
                freeaddrinfo(found);
        } while (now_ns() < until_ns);
    }
    printf("%ld\n", window_ns);
    for (size_t place = 0; place < made; place++)
        printf("%ld %ld %d %s\n", kept[place].begun_ns, kept[place].done_ns, kept[place].result,
               kept[place].address);
    return 0;
}
