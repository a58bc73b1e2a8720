/* The yardstick: what accepting and handing over costs in plain C, with the same system calls in the same
 * order as the dispatcher - epoll_wait, accept4 until EAGAIN, one sendmsg of at most MOST descriptors a worker,
 * close - and nothing else: no bounds, no pages, no policy but round-robin, no errors.
 *
 * usage: plain_loop MOST LISTENER_FD CHANNEL_FD...   (runs until it is killed; MOST: 1 to 16) */

#define _GNU_SOURCE
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <time.h>
#include <unistd.h>

enum { MOST_WORKERS = 16, MOST_FDS = 16, ACCEPTS_PER_TURN = 64, HEADER_BYTES = 16, RECORD_BYTES = 40 };

struct stage {
    uint32_t magic, count;
    uint64_t position;
    uint8_t records[MOST_FDS][RECORD_BYTES];
    int fds[MOST_FDS];
};

static struct stage stages[MOST_WORKERS];
static int channels[MOST_WORKERS];
static uint32_t most_per_message;

static void send_stage(int worker)
{
    struct stage *stage = &stages[worker];
    union { char bytes[CMSG_SPACE(sizeof stage->fds)]; struct cmsghdr align; } control;
    struct iovec data = { stage, HEADER_BYTES + stage->count * RECORD_BYTES };
    struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control };
    if (stage->count == 0)
        return;
    message.msg_controllen = CMSG_LEN(stage->count * sizeof(int));
    struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_len = message.msg_controllen;
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    memcpy(CMSG_DATA(rights), stage->fds, stage->count * sizeof(int));
    stage->magic = 0x31434C46;
    stage->position += stage->count;
    if (sendmsg(channels[worker], &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        exit(1);
    for (uint32_t i = 0; i < stage->count; i++)
        close(stage->fds[i]);
    stage->count = 0;
}

static void stage_connection(int worker, int fd, const struct sockaddr_storage *peer)
{
    struct stage *stage = &stages[worker];
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    memset(stage->records[stage->count], 0, RECORD_BYTES);
    memcpy(stage->records[stage->count], &now.tv_nsec, sizeof now.tv_nsec);
    memcpy(stage->records[stage->count] + 24, &((const struct sockaddr_in *)peer)->sin_addr, 4);
    stage->fds[stage->count++] = fd;
    if (stage->count == most_per_message)
        send_stage(worker);
}

int main(int argc, char **argv)
{
    int listener = atoi(argv[2]), workers = argc - 3, next = 0, fd;
    most_per_message = atoi(argv[1]);
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = { .events = EPOLLIN };
    for (int i = 0; i < workers; i++)
        channels[i] = atoi(argv[3 + i]);
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        epoll_wait(epoll_fd, &event, 1, -1);
        for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
            struct sockaddr_storage peer;
            socklen_t length = sizeof peer;
            fd = accept4(listener, (struct sockaddr *)&peer, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (fd < 0)
                break;
            stage_connection(next, fd, &peer);
            next = (next + 1) % workers;
        }
        for (int i = 0; i < workers; i++)
            send_stage(i);
    }
}
