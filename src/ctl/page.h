/*
 * The files of the page that `leaderctl serve` shows, each one string (src/ctl/page).
 */
#ifndef LEADERWRAP_CTL_PAGE_H
#define LEADERWRAP_CTL_PAGE_H

extern const char page_index_html[];
extern const char page_app_js[];
extern const char page_style_css[];

#endif
