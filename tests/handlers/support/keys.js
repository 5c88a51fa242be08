// The access keys of the server under test and of the applications that it calls. Keys for tests only: they are public.

export const PRIMARY_KEY = "primary-key-of-the-handler-suite-0000001";
export const SECONDARY_KEY = "secondary-key-of-the-handler-suite-00002";
export const WRONG_KEY = "a-key-that-this-server-has-never-seen-99";
