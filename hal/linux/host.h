/* The command line's words, for argument() of the module "linnet/linux-host". */
void linuxArguments(int count, char **words);
