export declare function hotNames(): Promise<Set<string>>;
