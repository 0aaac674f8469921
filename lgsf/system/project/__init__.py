"""The project itself: where its code and files lie, what a step of it hangs on, how it is deployed."""
