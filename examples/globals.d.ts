/** Prints text as it is: XS's own on a board, standard output on Node. */
declare function trace(text: string): void;
