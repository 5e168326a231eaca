/*
 * What looking a name up can end with (Linux: netdb.h, glibc's numbers). Read first: getaddrinfo(3), gai_strerror(3).
 */

/** The name does not exist, or is none. */
export const EAI_NONAME = -2;
/** No server answered in time, or none had an answer now. */
export const EAI_AGAIN = -3;
/** The servers refuse, or their answers make no sense. */
export const EAI_FAIL = -4;
/** The name exists, without what was asked for. */
export const EAI_NODATA = -5;
/** No socket or packet buffer was left. */
export const EAI_MEMORY = -10;
/** There is no server to ask. */
export const EAI_SYSTEM = -11;
/** The question was taken back. */
export const EAI_CANCELED = -101;
