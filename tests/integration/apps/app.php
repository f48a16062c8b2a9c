<?php
// An application that reads $_SERVER, where `-` and `_` of a field are one letter: what it believes of each request, as JSON.
function last_of(string $name): ?string {
    return isset($_SERVER[$name]) ? trim(array_slice(explode(',', $_SERVER[$name]), -1)[0]) : null;
}

header('Content-Type: application/json');
echo json_encode([
    'scheme' => last_of('HTTP_X_FORWARDED_PROTO') ?? 'http',
    'host' => last_of('HTTP_X_FORWARDED_HOST') ?? $_SERVER['HTTP_HOST'],
    'port' => last_of('HTTP_X_FORWARDED_PORT'),
    'client' => last_of('HTTP_X_FORWARDED_FOR') ?? $_SERVER['REMOTE_ADDR'],
    'prefix' => $_SERVER['HTTP_X_FORWARDED_PREFIX'] ?? '',
    'user' => $_SERVER['HTTP_X_USER'] ?? '',
    'target' => $_SERVER['REQUEST_URI'],
    'method' => $_SERVER['REQUEST_METHOD'],
    'body' => file_get_contents('php://input'),
]);
