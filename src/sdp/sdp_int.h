/* Private face of the sdp room. */
#ifndef CPH_SDP_INT_H
#define CPH_SDP_INT_H

#include "ciphony/sdp_caps.h"

/* RFC 8866 9 token-char */
bool sdp_token(struct cph_span s);
/* RFC 8866 9 proto: tokens with slashes between */
bool sdp_proto_ok(struct cph_span proto);

/** A line of the given type over value (a view); a= is split into name and arg. */
cph_err sdp_line_make(struct cph_arena *arena, char type, struct cph_span value,
                      struct cph_sdp_line **out);
/** Put a line behind the last of its part. */
void sdp_line_append(struct cph_sdp *sdp, struct cph_sdp_part *part, struct cph_sdp_line *line);
/** Count and hang in a media section whose first line says value. */
cph_err sdp_media_open(struct cph_sdp *sdp, struct cph_span value, struct cph_sdp_media **out);
cph_err sdp_origin_parse(struct cph_span value, struct cph_sdp_origin *out);
/** Would one more line of n bytes go over a limit? */
cph_err sdp_room_for(const struct cph_sdp *sdp, const struct cph_sdp_part *part, char type,
                     size_t n);
/** Add a line whose value lives long enough already; a NULL .p is CPH_E_NOMEM. */
cph_err sdp_view_add(struct cph_sdp *sdp, struct cph_sdp_media *media, char type,
                     struct cph_span value);
/** Give a line another value; the old one is forgotten. */
void sdp_line_set(struct cph_sdp *sdp, struct cph_sdp_line *line, struct cph_span value);
/** m= with another transport, whatever it is. */
cph_err sdp_media_proto(struct cph_sdp *sdp, struct cph_sdp_media *media, struct cph_span proto);
/** The attribute capability of a number that a section may refer to; session: it stands there.
 * False if there is none, or more than one. */
bool sdp_acap_of(const struct cph_sdp *sdp, const struct cph_sdp_media *media, uint32_t wanted,
                 struct cph_sdp_acap *out, bool *session);

#endif
