// The access keys of the server under test. Keys for tests only: they are public.

export const PRIMARY_KEY = "primary-key-of-the-javascript-suite-0001";
export const SECONDARY_KEY = "secondary-key-of-the-javascript-suite-02";
export const WRONG_KEY = "a-key-that-this-server-has-never-seen-99";
