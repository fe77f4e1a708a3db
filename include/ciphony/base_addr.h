/* Ciphony: an IP address and port as a value. No system calls here. */
#ifndef CPH_BASE_ADDR_H
#define CPH_BASE_ADDR_H

#include "ciphony/base.h"

enum cph_family { CPH_AF_NONE, CPH_AF_V4, CPH_AF_V6 };

struct cph_addr {
    enum cph_family family;
    uint8_t ip[16]; /* network order; the first 4 for IPv4, the rest zero */
    uint16_t port;
};

enum { CPH_ADDR_TEXT = 64 }; /* "[ipv6]:port" and the NUL */

/** An IP literal without brackets, port left 0. CPH_E_MALFORMED if it is a name or nonsense. */
CPH_API CPH_MUST_CHECK cph_err cph_addr_parse_ip(struct cph_span ip, struct cph_addr *out);
/** "1.2.3.4:5060", "[::1]:5060", or without the port (then 0). */
CPH_API CPH_MUST_CHECK cph_err cph_addr_parse(struct cph_span text, struct cph_addr *out);
/** Print the IP alone, without brackets, or "ip:port" with brackets for IPv6. Returns out. */
CPH_API const char *cph_addr_ip(const struct cph_addr *a, char out[CPH_ADDR_TEXT]);
CPH_API const char *cph_addr_text(const struct cph_addr *a, char out[CPH_ADDR_TEXT]);
CPH_API bool cph_addr_eq(const struct cph_addr *a, const struct cph_addr *b);    /* ip and port */
CPH_API bool cph_addr_ip_eq(const struct cph_addr *a, const struct cph_addr *b); /* ip only */
/** Of one host, as far as a stranger counts: a host has 2^64 addresses of IPv6, so there the first
 * 64 bits are compared. */
CPH_API bool cph_addr_host_eq(const struct cph_addr *a, const struct cph_addr *b);
/** The bytes it compares. */
CPH_API struct cph_span cph_addr_host(const struct cph_addr *a);
CPH_API bool cph_addr_is_any(const struct cph_addr *a); /* 0.0.0.0 or :: */

#endif
