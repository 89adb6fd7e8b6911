// The general guest as C++: it can throw.
#include "general.c"
