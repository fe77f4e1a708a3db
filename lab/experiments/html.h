/* The parts of the report. */
#ifndef CPH_LAB_HTML_H
#define CPH_LAB_HTML_H

#include "matrix.h"

enum { HTML_TEXT = 1200 };

void html_put(struct cph_buf *out, const char *fmt, ...) CPH_PRINTF(2, 3);
/** Text as it may stand in a page; it may quote what a peer sent. Cut if it is too long. */
const char *html_text(const char *text, char out[HTML_TEXT]);

void html_plots(const struct lab_results *r, struct cph_buf *out);
/** One call as arrows between hosts; id makes the names of its parts unique. Nothing if empty. */
void html_ladder(const struct lab_ladder *l, const char *keying, unsigned id, struct cph_buf *out);

#endif
