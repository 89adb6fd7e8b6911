/* The mode that CR_HOST asks for. EXPECTED is what it must be. C and C++. */
#include "cr.h"

#ifndef CR_HOST
#define CR_HOST /* alone */
#endif
#include "cr.h"

extern char mode[(CR_OP_MODE) == (EXPECTED) ? 1 : -1];

int main(void) { return (int)cr_host_options_().mode; }
