/* Descriptions as they are met, with CRLF line ends. */
#ifndef SDP_EXAMPLES_H
#define SDP_EXAMPLES_H

/* RFC 8866 5, put together from its sections */
static const char ex_rfc8866[] = "v=0\r\n"
                                 "o=jdoe 3724394400 3724394405 IN IP4 198.51.100.1\r\n"
                                 "s=Call to John Smith\r\n"
                                 "i=SDP Offer #1\r\n"
                                 "u=http://www.jdoe.example.com/home.html\r\n"
                                 "e=Jane Doe <jane@jdoe.example.com>\r\n"
                                 "p=+1 617 555-6011\r\n"
                                 "c=IN IP4 198.51.100.1\r\n"
                                 "b=X-YZ:128\r\n"
                                 "t=0 0\r\n"
                                 "r=7d 1h 0 25h\r\n"
                                 "z=3724394400 -1h 3735014400 0\r\n"
                                 "k=prompt\r\n"
                                 "a=unheard-of:value with : colons\r\n"
                                 "a=recvonly\r\n"
                                 "m=audio 49170 RTP/AVP 0\r\n"
                                 "m=audio 49180 RTP/AVP 0\r\n"
                                 "i=second\r\n"
                                 "c=IN IP6 2001:db8::2\r\n"
                                 "b=AS:64\r\n"
                                 "k=clear:x\r\n"
                                 "a=sendrecv\r\n"
                                 "m=video 51372/2 RTP/AVP 99\r\n"
                                 "c=IN IP6 2001:db8::2\r\n"
                                 "a=rtpmap:99 h263-1998/90000\r\n";

/* the shape of a browser's offer */
static const char ex_browser[] = "v=0\r\n"
                                 "o=- 4611731400430051336 2 IN IP4 127.0.0.1\r\n"
                                 "s=-\r\n"
                                 "t=0 0\r\n"
                                 "a=group:BUNDLE 0\r\n"
                                 "a=extmap-allow-mixed\r\n"
                                 "a=msid-semantic: WMS stream\r\n"
                                 "m=audio 9 UDP/TLS/RTP/SAVPF 111 63 0 8 126\r\n"
                                 "c=IN IP4 0.0.0.0\r\n"
                                 "a=rtcp:9 IN IP4 0.0.0.0\r\n"
                                 "a=ice-ufrag:4ZcD\r\n"
                                 "a=ice-pwd:2/1muCWoOi3uLifh0NuRHlCf\r\n"
                                 "a=fingerprint:sha-256 "
                                 "75:74:5A:A6:A4:E5:52:F4:A7:67:4C:01:C7:EE:91:3F:21:3D:A2:E3:53:"
                                 "7B:6F:30:86:F2:30:AA:65:FB:04:24\r\n"
                                 "a=setup:actpass\r\n"
                                 "a=tls-id:89J2LRATQ3ULA24G9AHWVR31VJWSLB68\r\n"
                                 "a=mid:0\r\n"
                                 "a=sendrecv\r\n"
                                 "a=rtcp-mux\r\n"
                                 "a=rtpmap:111 opus/48000/2\r\n"
                                 "a=rtcp-fb:111 transport-cc\r\n"
                                 "a=fmtp:111 minptime=10;useinbandfec=1\r\n"
                                 "a=rtpmap:63 red/48000/2\r\n"
                                 "a=rtpmap:126 telephone-event/8000\r\n"
                                 "a=fmtp:126 0-15\r\n"
                                 "a=ssrc:3735928559 cname:o/i14u9pJrxRKAsu\r\n";

/* keys of RFC 4568 4.3 and 7.1.5, with MIKEY and ZRTP beside them */
static const char ex_keys[] =
    "v=0\r\n"
    "o=sam 2890844526 2890842807 IN IP4 10.47.16.5\r\n"
    "s=SRTP Discussion\r\n"
    "c=IN IP4 168.2.17.12\r\n"
    "t=2873397496 2873404696\r\n"
    "a=key-mgmt:mikey AQAFgM0XflABAAAAAAAAAAAAAAsAyONQ6gAAAAAGEEoo2pee4hp2UaDX8ZE22YwKAAA=\r\n"
    "m=audio 49170 RTP/SAVP 0\r\n"
    "a=crypto:1 AES_CM_128_HMAC_SHA1_80 "
    "inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20|1:4 FEC_ORDER=FEC_SRTP\r\n"
    "a=crypto:2 F8_128_HMAC_SHA1_80 "
    "inline:MTIzNDU2Nzg5QUJDREUwMTIzNDU2Nzg5QUJjZGVm|2^20|1:4;"
    "inline:QUJjZGVmMTIzNDU2Nzg5QUJDREUwMTIzNDU2Nzg5|2^20|2:4 FEC_ORDER=FEC_SRTP\r\n"
    "a=zrtp-hash:1.10 fe30efd02423cb054e50efd0248742ac7a52c8f91bc2df881ae642c371ba46df\r\n"
    "a=ptime:20\r\n"
    "a=maxptime:60\r\n";

/* RFC 3264 10.1: offer, answer, re-offer, its answer */
#define ALICE(version)                                                                             \
    "v=0\r\no=alice 2890844526 " version " IN IP4 host.anywhere.com\r\ns=\r\n"                     \
    "c=IN IP4 host.anywhere.com\r\nt=0 0\r\n"
#define BOB(version)                                                                               \
    "v=0\r\no=bob 2890844730 " version " IN IP4 host.example.com\r\ns=\r\n"                        \
    "c=IN IP4 host.example.com\r\nt=0 0\r\n"
static const char ex_3264_offer[] =
    ALICE("2890844526") "m=audio 49170 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
                        "m=video 51372 RTP/AVP 31\r\na=rtpmap:31 H261/90000\r\n"
                        "m=video 53000 RTP/AVP 32\r\na=rtpmap:32 MPV/90000\r\n";
static const char ex_3264_answer[] =
    BOB("2890844730") "m=audio 49920 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
                      "m=video 0 RTP/AVP 31\r\n"
                      "m=video 53000 RTP/AVP 32\r\na=rtpmap:32 MPV/90000\r\n";
static const char ex_3264_reoffer[] =
    BOB("2890844731") "m=audio 65422 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
                      "m=video 0 RTP/AVP 31\r\n"
                      "m=video 53000 RTP/AVP 32\r\na=rtpmap:32 MPV/90000\r\n"
                      "m=audio 51434 RTP/AVP 110\r\na=rtpmap:110 telephone-events/8000\r\n"
                      "a=recvonly\r\n";

#endif
