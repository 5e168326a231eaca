/** "system" is the SDK's for boards: it makes `device`. What a program on Linux has of it is nothing. */
