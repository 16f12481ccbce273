"""Flask and Socket.IO: pages, API and sockets. Asks the CRM, holds no SQL."""
