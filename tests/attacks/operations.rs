//! Operation ids and subscriptions that are used to hide or take away what is somebody else's.
